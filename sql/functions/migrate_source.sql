-- Finds the table that a person calls `name`: by its name where the search path shows it, by schema and name, or
-- either of them quoted. The name is compared with what the catalog has and never read as SQL.
create or replace function sexton.migrate_source(name text) returns oid
language plpgsql stable as $function$
declare
    found oid[];
    spelled text[];
    near text;
begin
    select array_agg(c.oid order by n.nspname, c.relname), array_agg(format('%I.%I', n.nspname, c.relname) order by n.nspname, c.relname)
    into found, spelled
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and (
          name in (n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname),
              format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')))
          or (pg_table_is_visible(c.oid) and name in (c.relname, quote_ident(c.relname), format('"%s"', replace(c.relname, '"', '""'))))
      );
    if cardinality(found) = 1 then
        return found[1];
    elsif found is not null then
        raise exception using errcode = 'SX001',
            message = format('`%s` may mean %s', name, array_to_string(spelled, ' or ')),
            hint = 'write it with its schema, and quoted where it has dots: "schema"."table"';
    end if;
    select format('%I.%I', n.nspname, c.relname) into near
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and lower(name) in (lower(c.relname), lower(n.nspname || '.' || c.relname))
      and n.nspname not in ('pg_catalog', 'information_schema')
    order by pg_table_is_visible(c.oid) desc, n.nspname
    limit 1;
    raise exception using errcode = 'SX003', detail = coalesce(name, ''),
        message = format('there is no table `%s` in database `%s`', coalesce(name, ''), current_database()),
        hint = case when near is null then 'write schema.table, spelled as the catalog has it, and check that the user may use the schema'
            else format('did you mean %s?', near) end;
end
$function$;
