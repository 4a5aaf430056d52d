-- What a database and its server are.
select
    current_database()::text as database,
    current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    pg_database_size(current_database()) as database_bytes,
    pg_encoding_to_char(d.encoding)::text as encoding,
    case to_jsonb(d) ->> 'datlocprovider' when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end as provider,
    d.datcollate::text as collate,
    d.datctype::text as ctype,
    -- Called daticulocale in 15 and 16, and datlocale since; 14 has neither.
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') as locale
from pg_database d
where d.datname = current_database()
