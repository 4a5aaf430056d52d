-- One column of a node of a data set's shape; null if it has none of that name.
create or replace function sexton.column_of(node jsonb, name text) returns jsonb
language sql stable
begin atomic
    select c from jsonb_array_elements(node -> 'columns') c where c ->> 'name' = name;
end;
