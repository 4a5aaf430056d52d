-- Lanes live: how many runs are ready in each lane but lane 0.
select run.lane, count(*) as runs, lane.needs
from sexton.run
join sexton.lane on lane.id = run.lane
where state = 'ready'
  and run.lane > 0
group by run.lane, lane.needs
