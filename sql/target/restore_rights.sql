-- Statements that give the database $2::text what goes with the database $1: its owner, who may do what, and how many may
-- come.
with it as (
    select oid, datdba, datconnlimit, coalesce(datacl, acldefault('d', datdba)) as acl
    from pg_database
    where datname = $1::text
)
select statement
from (
    select 1 as turn, format('alter database %I owner to %I', $2::text, pg_get_userbyid(datdba)) as statement from it
    union all
    select 2, format('alter database %I connection limit %s', $2::text, datconnlimit) from it where datconnlimit <> -1
    union all
    select 3, format('revoke all on database %I from public', $2::text) from it
    union all
    select 4,
        format('grant %s on database %I to %s%s', a.privilege_type, $2::text,
            case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
            case when a.is_grantable then ' with grant option' else '' end)
    from it
    cross join lateral aclexplode(it.acl) a
    where a.grantee <> it.datdba
) s
order by turn, statement
