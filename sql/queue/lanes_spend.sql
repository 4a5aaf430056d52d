-- Lanes spend: the rates of the gates $1 are whole again at $2.
insert into sexton.gate_rate (name, whole_at)
select name, whole_at
from unnest($1::text[], $2::timestamptz[]) as input (name, whole_at)
on conflict (name) do update set whole_at = excluded.whole_at
