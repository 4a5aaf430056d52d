-- How people call a parent row `t`: the data set's `known_by`, else its key, as text.
create or replace function sexton.name_sql(definition jsonb) returns text
language sql stable
begin atomic
    select case
        when definition ? 'known_by' then format('t.%I::text', definition ->> 'known_by')
        when jsonb_array_length(definition -> 'key') = 1 then format('t.%I::text', definition -> 'key' ->> 0)
        else (
            select 'concat_ws('','', ' || string_agg(format('t.%I::text', name), ', ' order by place) || ')'
            from jsonb_array_elements_text(definition -> 'key') with ordinality l (name, place)
        )
    end;
end;
