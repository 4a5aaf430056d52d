-- What order $2 on data set $1 finds with cutoff $3.
select sexton.totals($1, $2, $3)
