-- The partitions that order $2 on data set $1 takes whole with cutoff $3.
select sexton.whole_partitions($1, $2, $3)
