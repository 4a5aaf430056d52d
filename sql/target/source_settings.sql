-- The settings that go with a database, of everybody and of single roles.
select r.rolname::text as role, split_part(c.line, '=', 1) as name, substr(c.line, strpos(c.line, '=') + 1) as value
from pg_db_role_setting s
left join pg_roles r on r.oid = s.setrole
cross join lateral unnest(s.setconfig) as c (line)
where s.setdatabase = (select oid from pg_database where datname = current_database())
order by role nulls first, name
