-- Has PostgreSQL read the definition's conditions before anything relies on them.
create or replace function sexton.check_conditions(definition jsonb, shape jsonb) returns void
language plpgsql stable as $function$
declare
    what record;
begin
    for what in
        select key, text
        from (values
            ('critical', definition ->> 'critical'),
            ('open', definition ->> 'open'),
            ('hold', definition ->> 'hold'),
            ('resolved.when', definition #>> '{resolved,when}')
        ) v (key, text)
        where text is not null
    loop
        begin
            execute format('select from %s t where %s is false limit 0', shape #>> '{nodes,0,sql}', sexton.condition_sql(what.text));
        exception when syntax_error_or_access_rule_violation or data_exception then
            if sqlstate = '42501' then
                raise;
            end if;
            raise exception using errcode = 'SX001',
                message = format('the data set''s `%s` (`%s`) is no condition on `%s`: %s', what.key, what.text, shape #>> '{nodes,0,table}', sqlerrm),
                hint = 'correct it in jobs/datasets/';
        end;
    end loop;
end
$function$;
