-- Fired after: the first slot of schedule $1 after $2 that has a run.
select schedule, nominal_at, until, slots, decision::text as decision, reason, extract(epoch from lateness)::float8 as lateness, revision,
       decided_by, decided_at, run
from sexton.slot
where schedule = $1 and nominal_at > $2 and run is not null
order by nominal_at
limit 1
