-- Refuse order $2 on data set $1 if it could not be carried out to its end.
select sexton.check_order($1, $2)
