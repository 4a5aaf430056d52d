-- The next batch of migration plan $1: after key $2, up to $3 rows, $4 were read before; $5 dry run, for $6 in run $7.
select sexton.migrate_batch($1, $2, $3, $4, $5, $6, $7)
