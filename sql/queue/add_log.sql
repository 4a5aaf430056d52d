-- Add lines to the log of runs; one that is there already stays as it is.
insert into sexton.run_log (run, token, line, attempt, at, level, target, message, fields)
select *
from unnest(
    $1::uuid[], $2::bigint[], $3::integer[], $4::integer[], $5::timestamptz[], $6::text[], $7::text[], $8::text[],
    $9::jsonb[])
on conflict do nothing
