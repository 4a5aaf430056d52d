-- Decide, as planner $1: write a row for each decision and move the watermark of each schedule to the last of its slots.
with given as materialized (
    select *
    from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[], $6::text[], $7::text[], $8::float8[], $9::uuid[])
        as input (schedule, nominal_at, until, slots, decision, reason, lateness, run)
), moved as (
    update sexton.schedule
    set watermark = last.until
    from (select schedule, min(nominal_at) as first, max(until) as until from given group by schedule) as last
    where schedule.name = last.schedule
      and schedule.watermark < last.first
      and schedule.enabled
      and schedule.removed_at is null
    returning schedule.name, schedule.revision
)
insert into sexton.slot (schedule, nominal_at, until, slots, decision, reason, lateness, revision, decided_by, run)
select given.schedule, given.nominal_at, given.until, given.slots, given.decision::sexton.decision, given.reason,
       make_interval(secs => given.lateness), moved.revision, $1, given.run
from given
join moved on moved.name = given.schedule
