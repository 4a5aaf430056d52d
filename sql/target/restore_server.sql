-- What a server is, and what its user may do there.
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::int as version_number,
    r.rolname::text as "user",
    r.rolsuper or r.rolcreatedb as makes_databases,
    r.rolsuper or r.rolcreaterole as makes_roles,
    array(select rolname::text from pg_roles) as roles
from pg_roles r
where r.rolname = current_user
