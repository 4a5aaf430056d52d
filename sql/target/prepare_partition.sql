-- Write down the bounds of partition $1 as a check, or, with $2, validate it.
select sexton.prepare_partition($1, $2)
