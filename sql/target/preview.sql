-- What order $2 on data set $1 would move with cutoff $3, at most $4 parent rows.
select sexton.preview($1, $2, $3, $4)
