-- The checked shape of a data set whose tables cannot change any more until the transaction ends.
create or replace function sexton.locked_shape(definition jsonb) returns jsonb
language plpgsql as $function$
declare
    shape jsonb := sexton.checked_shape(definition);
    again jsonb;
begin
    loop
        -- Row exclusive lets readers and writers go on, and keeps `alter table` out: no column is lost that is added
        -- between our look at the catalog and the move.
        execute (
            select format('lock table %s in row exclusive mode', string_agg(name, ', '))
            from (
                select n ->> 'sql' as name from jsonb_array_elements(shape -> 'nodes') n
                union all
                select n #>> '{archive,sql}' from jsonb_array_elements(shape -> 'nodes') n where n #>> '{archive,oid}' is not null
            ) t
        );
        again := sexton.shape(definition);
        exit when again = shape;
        shape := sexton.checked_shape(definition);
    end loop;
    return shape;
end
$function$;
