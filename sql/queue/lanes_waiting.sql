-- Lanes waiting: the first $1 ready runs of each lane but lane 0, of at most 2000 lanes.
with recursive lanes as (
    (select lane from sexton.run where lane > 0 and claim_rank is not null order by lane limit 1)
    union all
    select (select run.lane from sexton.run where run.lane > lanes.lane and claim_rank is not null order by run.lane limit 1)
    from lanes
    where lanes.lane is not null
)
select head.id, lanes.lane, head.rank, head.due_at
from (select lane from lanes where lane is not null limit 2000) as lanes
cross join lateral (
    select id, rank, due_at
    from sexton.run
    where state = 'ready'
      and run.lane = lanes.lane
      and claim_rank > '-infinity'
    order by claim_rank
    limit $1) as head
