-- Lanes live: how many runs are ready, and not paused, in each lane but lane 0.
select run.lane, count(*) as runs, lane.needs
from sexton.run
join sexton.lane on lane.id = run.lane
where run.lane > 0
  and claim_rank > '-infinity'
group by run.lane, lane.needs
