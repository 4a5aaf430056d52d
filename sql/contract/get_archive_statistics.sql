-- How the rows are spread over main and archive.
create function public.get_archive_statistics() returns table (
    metric_name text,
    main_table_count bigint,
    archive_table_count bigint,
    total_count bigint,
    archive_percentage numeric
)
language plpgsql stable as $function$
begin
    return query
    select s.label, s.main, s.archive, s.main + s.archive,
           case when s.main + s.archive = 0 then 0 else round(s.archive * 100.0 / (s.main + s.archive), 2) end
    from (
        select case c.label when 'interface_exceptions' then 'exceptions' else c.label end as label, c.main, c.archive, c.place
        from sexton.sizes(sexton.definition_of('interface_exceptions')) c
    ) s
    where s.label in ('exceptions', 'retry_attempts')
    order by s.place;
end
$function$;
