-- The newest $2 decisions, of schedule $1 or of all.
select schedule, nominal_at, until, slots, decision::text as decision, reason, extract(epoch from lateness)::float8 as lateness, revision,
       decided_by, decided_at, run
from sexton.slot
where $1::text is null or schedule = $1
order by nominal_at desc, schedule
limit $2
