-- How many rows each table of a data set has, in main and in the archive.
create or replace function sexton.sizes(definition jsonb) returns table (place integer, label text, main bigint, archive bigint)
language plpgsql stable as $function$
declare
    node jsonb;
begin
    place := 0;
    for node in select value from jsonb_array_elements(sexton.shape(definition) -> 'nodes') loop
        label := node ->> 'label';
        execute format('select count(*) from %s', node ->> 'sql') into main;
        archive := 0;
        if node #>> '{archive,oid}' is not null then
            execute format('select count(*) from %s', node #>> '{archive,sql}') into archive;
        end if;
        return next;
        place := place + 1;
    end loop;
end
$function$;
