-- Take partition $4 whole for order $2 on data set $1 with cutoff $3, if at most $5 rows hang on it.
select sexton.take_partition($1, $2, $3, $4, $5)
