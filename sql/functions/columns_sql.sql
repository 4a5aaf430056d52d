-- The names in a JSON list as SQL: quoted, with `of.` before each unless it is empty, separated by commas.
create or replace function sexton.columns_sql(of text, names jsonb) returns text
language sql stable
begin atomic
    select string_agg(case when of = '' then format('%I', name) else format('%s.%I', of, name) end, ', ' order by place)
    from jsonb_array_elements_text(names) with ordinality l (name, place);
end;
