-- What a database and its server are.
select
    current_database()::text as database,
    current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    pg_database_size(current_database()) as database_bytes
