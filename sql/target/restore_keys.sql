-- Foreign keys of the tables $1 (quoted names) and of the partitioned tables above them: how to drop and to add each,
-- and a question that is true where a row breaks it. Keys that nobody has validated are not asked about.
with recursive it as (
    select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where format('%I.%I', n.nspname, c.relname) = any($1)
    union
    select i.inhparent from it join pg_inherits i on i.inhrelid = it.oid
    join pg_class p on p.oid = i.inhparent and p.relkind = 'p'
)
select
    format('%s %s', t.name, quote_ident(k.conname)) as name,
    format('alter table %s drop constraint %I', t.name, k.conname) as drop,
    format('alter table %s add constraint %I %s', t.name, k.conname, pg_get_constraintdef(k.oid)) as add,
    format('comment on constraint %I on %s is %L', k.conname, t.name, obj_description(k.oid, 'pg_constraint'))
        as comment,
    case when k.convalidated then
        format('exists (select from %s child where %s and not exists (select from %s parent where %s))',
            case when c.relkind = 'p' then t.name else 'only ' || t.name end, w.filled,
            case when p.relkind = 'p' then f.name else 'only ' || f.name end, w.equal)
    end as broken
from it
join pg_constraint k on k.conrelid = it.oid and k.contype = 'f' and k.conparentid = 0
join pg_class c on c.oid = k.conrelid
join pg_class p on p.oid = k.confrelid
cross join lateral (
    select format('%I.%I', nspname, c.relname) as name from pg_namespace where oid = c.relnamespace
) t
cross join lateral (
    select format('%I.%I', nspname, p.relname) as name from pg_namespace where oid = p.relnamespace
) f
cross join lateral (
    select
        string_agg(format('child.%I is not null', a.attname), ' and ') as filled,
        string_agg(format('parent.%I operator(%I.%s) child.%I', b.attname, s.nspname, o.oprname, a.attname), ' and ')
            as equal
    from unnest(k.conkey, k.confkey, k.conpfeqop) as u (child, parent, op)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.child
    join pg_attribute b on b.attrelid = k.confrelid and b.attnum = u.parent
    join pg_operator o on o.oid = u.op
    join pg_namespace s on s.oid = o.oprnamespace
) w
order by t.name, k.conname
