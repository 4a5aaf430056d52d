-- The extensions that a server could install.
select name::text from pg_available_extensions
