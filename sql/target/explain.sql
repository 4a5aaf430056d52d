-- Everything about order $2 on data set $1 with cutoff $3, at most $4 parent rows, $5 a step, before it runs.
select sexton.explain($1, $2, $3, $4, $5)
