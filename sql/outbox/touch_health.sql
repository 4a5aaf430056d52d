-- Note a success of healthy subjects, at most once a second each: more would only make dead rows.
insert into sexton.health as old (subject, last_success_at, last_success_run, last_end_at)
select subject, at, run, at
from unnest($1::text[], $2::timestamptz[], $3::uuid[]) as new (subject, at, run)
order by subject
on conflict (subject) do update
set last_success_at = excluded.last_success_at,
    last_success_run = excluded.last_success_run,
    last_end_at = excluded.last_end_at
where old.last_success_at is null
   or old.last_success_at < excluded.last_success_at - interval '1 second'
