-- Write line $2 into the migration log of data set $1.
select sexton.log_migration($1, $2)
