-- Decided in: decisions of schedule $1 that reach into the time from $2 to before $3, the earliest first.
select schedule, nominal_at, until, slots, decision::text as decision, reason, extract(epoch from lateness)::float8 as lateness, revision,
       decided_by, decided_at, run
from sexton.slot
where schedule = $1
  and nominal_at < $3
  and nominal_at >= coalesce((select max(nominal_at) from sexton.slot where schedule = $1 and nominal_at <= $2), $2)
order by nominal_at
