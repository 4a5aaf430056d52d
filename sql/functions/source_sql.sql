-- The table that rows of a node are taken from.
create or replace function sexton.source_sql(node jsonb, side text) returns text
language sql immutable
begin atomic
    select case side when 'archive' then node #>> '{archive,sql}' else node ->> 'sql' end;
end;
