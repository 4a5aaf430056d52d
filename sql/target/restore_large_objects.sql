-- How many large objects a database has.
select count(*) from pg_largeobject_metadata
