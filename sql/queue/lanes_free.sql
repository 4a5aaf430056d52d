-- Lanes free: the ranks of the first $1 ready runs that need nothing and that nothing limits.
select rank
from sexton.run
where state = 'ready'
  and lane = 0
  and claim_rank is not null
order by claim_rank
limit $1
