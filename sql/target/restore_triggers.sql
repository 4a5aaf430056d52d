-- Triggers of the tables $1 (quoted names) that would fire: how to stop each and have it as it was. Where $2, the
-- session is a replica's, and only those that fire there count.
select
    format('alter table only %I.%I disable trigger %I', n.nspname, c.relname, t.tgname) as stop,
    format('alter table only %I.%I enable %s trigger %I', n.nspname, c.relname,
        case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end, t.tgname) as again
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
where
    not t.tgisinternal
    and t.tgenabled <> 'D'
    and (not $2 or t.tgenabled <> 'O')
    and format('%I.%I', n.nspname, c.relname) = any($1)
order by stop
