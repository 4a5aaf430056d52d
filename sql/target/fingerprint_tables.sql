-- Every table whose rows a dump has, the largest first; names are quoted. $1 and $2 are the schemas and names, as
-- regular expressions, of tables whose rows are left out; a name without a schema is looked for as a query would.
select
    format('%I.%I', n.nspname, c.relname) as name,
    exists (
        select from unnest($1::text[], $2::text[]) as x (in_schema, called)
        where
            c.relname ~ x.called
            and case when x.in_schema is null then pg_table_is_visible(c.oid) else n.nspname ~ x.in_schema end
    ) as left_out
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where
    c.relkind = 'r'
    and c.relpersistence <> 't'
    and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    -- What an extension makes, it makes again.
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by pg_table_size(c.oid) desc, name
