-- Lanes running: the attempts that hold gates.
with recursive lanes as (
    (select lane from sexton.run where lane > 0 and claim_rank is not null order by lane limit 1)
    union all
    select (select run.lane from sexton.run where run.lane > lanes.lane and claim_rank is not null order by run.lane limit 1)
    from lanes
    where lanes.lane is not null
)
select run.lane, run.started_at
from lanes
join sexton.run on run.lane = lanes.lane
where run.claim_rank = '-infinity'
  and run.state = 'running'
