-- Progress: how far running attempts are; one that lost its run writes nothing.
insert into sexton.progress (run, token, done, total, unit, note, rate)
select given.run, given.token, given.done, given.total, given.unit, given.note, given.rate
from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::float8[])
    as given (run, token, done, total, unit, note, rate)
join sexton.run on run.id = given.run and run.token = given.token and run.state = 'running'
on conflict (run) do update
set token = excluded.token, done = excluded.done, total = excluded.total, unit = excluded.unit, note = excluded.note,
    rate = excluded.rate, at = clock_timestamp()
