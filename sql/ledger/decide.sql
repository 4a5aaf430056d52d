-- Decide: move the watermark of schedule $1 from $2 (under revision $3) to $4 and write a row for each decision, by planner $5.
with moved as (
    update sexton.schedule set watermark = $4
    where name = $1 and watermark = $2 and revision = $3 and enabled and removed_at is null
    returning name, revision
)
insert into sexton.slot (schedule, nominal_at, until, slots, decision, reason, lateness, revision, decided_by, run)
select moved.name, given.nominal_at, given.until, given.slots, given.decision::sexton.decision, given.reason,
       make_interval(secs => given.lateness), moved.revision, $5, given.run
from moved,
     unnest($6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::text[], $10::text[], $11::float8[], $12::uuid[])
         as given (nominal_at, until, slots, decision, reason, lateness, run)
