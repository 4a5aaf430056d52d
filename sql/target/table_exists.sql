-- Whether there is a table called $1 (`schema.table`).
select exists (
    select
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = $1
      and c.relkind in ('r', 'p')
)
