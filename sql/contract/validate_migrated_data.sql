-- What is wrong with the rows, a row for each check that found something; or one that says that nothing is. The
-- checks are those of the data set's suite "migrated", as they were installed.
create function public.validate_migrated_data() returns table (
    validation_type text,
    issue_count integer,
    sample_issues text[]
)
language plpgsql stable as $function$
declare
    found_any boolean := false;
    one record;
    total bigint;
begin
    for one in
        select c ->> 'name' as name, c ->> 'sql' as sql, c ->> 'cannot' as cannot, c ->> 'help' as help
        from sexton.dataset d
        cross join lateral jsonb_array_elements(d.checks) with ordinality l (c, place)
        where d.name = 'interface_exceptions'
        order by place
    loop
        if one.sql is null then
            raise exception using errcode = 'SX001', message = format('check %s cannot be run: %s', one.name, one.cannot),
                hint = one.help;
        end if;
        execute format(E'select count(*) from (\n%s\n) bad', one.sql) into total;
        continue when total = 0;
        found_any := true;
        validation_type := one.name;
        issue_count := least(total, 2147483647);
        execute format(
            E'select array_agg(s.sample) from (
                select (
                    select string_agg(f.key || '' '' || coalesce(f.value, ''null''), '', '' order by f.place)
                    from json_each_text(to_json(bad)) with ordinality f (key, value, place)
                ) as sample
                from (\n%s\n) bad
                limit 5
            ) s', one.sql)
        into sample_issues;
        return next;
    end loop;
    if not found_any then
        return query select 'validation_passed', 0, array['No data integrity issues found'];
    end if;
end
$function$;
