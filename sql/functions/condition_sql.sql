-- A condition as ops wrote it, made safe to stand between others: a comment at its end stays inside.
create or replace function sexton.condition_sql(condition text) returns text
language sql stable
begin atomic
    select '(' || btrim(condition, e' \n\t\r') || e'\n)';
end;
