-- What there is to clean up in data set $1.
select sexton.statistics($1)
