-- How much of a data set there is to clean up: the rows, those older than a year, those settled for more than 90 days,
-- the critical ones, their average age in whole days, and the database's size in MB. A figure that the definition
-- does not tell is 0.
create or replace function sexton.statistics(definition jsonb) returns jsonb
language plpgsql stable as $function$
declare
    parent constant jsonb := sexton.checked_shape(definition) -> 'nodes' -> 0;
    result jsonb;
begin
    execute format($sql$
        select jsonb_build_object(
            'total', count(*),
            'old', count(*) filter (where t.%1$I < now() - interval '8760 hours'),
            'resolved', count(*) filter (where %2$s),
            'critical', count(*) filter (where %3$s),
            'average_age_days', coalesce(floor(extract(epoch from avg(now() - t.%1$I)) / 86400), 0),
            'database_size_mb', pg_database_size(current_database()) / 1048576
        )
        from %4$s t$sql$,
        definition ->> 'age',
        coalesce(sexton.condition_sql(definition #>> '{resolved,when}')
            || format(' and t.%I < now() - interval ''2160 hours''', definition #>> '{resolved,at}'), 'false'),
        coalesce(sexton.condition_sql(definition ->> 'critical'), 'false'),
        parent ->> 'sql')
    into result;
    return result;
end
$function$;
