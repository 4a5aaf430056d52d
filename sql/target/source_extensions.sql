-- The extensions of a database.
select extname::text as name, extversion as version from pg_extension order by name
