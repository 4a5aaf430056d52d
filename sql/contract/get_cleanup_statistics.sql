-- How much there is to clean up, with a recommendation for each figure.
create function public.get_cleanup_statistics() returns table (
    metric_name text,
    metric_value bigint,
    recommendation text
)
language plpgsql stable as $function$
begin
    return query
    select m.name, m.value::bigint, case when m.value::bigint > m.most then m.above else m.otherwise end
    from sexton.statistics(sexton.definition_of('interface_exceptions')) s
    cross join lateral (values
        (1, 'total_exceptions', s ->> 'total', 1000000, 'Consider automated cleanup', 'Volume is manageable'),
        (2, 'old_exceptions_1year', s ->> 'old', 100000, 'Cleanup of old exceptions is recommended', 'Volume is acceptable'),
        (3, 'resolved_exceptions_90days', s ->> 'resolved', 50000, 'Cleanup of resolved exceptions is recommended', 'Volume is acceptable'),
        (4, 'critical_exceptions', s ->> 'critical', 1000, 'Investigate the critical exceptions', 'Volume is normal'),
        (5, 'average_age_days', s ->> 'average_age_days', 180, 'Data is aging; consider archiving', 'Age is reasonable'),
        (6, 'database_size_mb', s ->> 'database_size_mb', 10240, 'Consider archiving', 'Size is manageable')
    ) m (place, name, value, most, above, otherwise)
    order by m.place;
end
$function$;
