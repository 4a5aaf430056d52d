-- Covering: the newest decision of schedule $1 whose first slot is not after $2; it is for the caller to see whether it reaches so far.
select schedule, nominal_at, until, slots, decision::text as decision, reason, extract(epoch from lateness)::float8 as lateness, revision,
       decided_by, decided_at, run
from sexton.slot
where schedule = $1 and nominal_at <= $2
order by nominal_at desc
limit 1
