-- Hold rows $2 of data set $1 (its table) for reason $3 until $4.
insert into sexton.hold as h (dataset, name, reason, until)
select distinct $1::text, name, $3::text, $4::timestamptz
from unnest($2::text[]) name
on conflict (dataset, name) do update
set reason = excluded.reason,
    until = excluded.until,
    held_by = session_user,
    held_at = clock_timestamp()
