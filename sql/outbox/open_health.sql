-- Make sure that each of these subjects has its row.
insert into sexton.health (subject)
select subject
from unnest($1::text[]) as subject
order by subject
on conflict (subject) do nothing
