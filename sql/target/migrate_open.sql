-- Make this session's own tables for the batches of migration plan $1.
select sexton.migrate_open($1)
