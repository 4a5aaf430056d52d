-- Why a row is refused that clashes with another one.
create or replace function sexton.migrate_clash(name text, columns text[]) returns text
language sql immutable
begin atomic
    select format('another row has the same %s (unique constraint `%s`)', coalesce(array_to_string(columns, ', '), 'value'), name);
end;
