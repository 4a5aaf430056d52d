-- The columns by which a source is read in order, with their types: its primary key, else `id`; null if it has neither.
create or replace function sexton.migrate_key(source oid) returns jsonb
language sql stable
begin atomic
    select coalesce(
        (
            select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by k.place)
            from pg_index i
            cross join unnest(i.indkey::int2[]) with ordinality k (number, place)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
            where i.indrelid = source and i.indisprimary and k.place <= i.indnkeyatts
        ),
        (
            select jsonb_build_array(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)))
            from pg_attribute a
            where a.attrelid = source and a.attname = 'id' and a.attnum > 0 and not a.attisdropped
        )
    );
end;
