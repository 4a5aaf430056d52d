-- Ready before: the first $2 ready runs that need nothing, that nothing limits and that are not paused, of a rank lower than $1, by
-- their rank.
select id, claim_rank
from sexton.run
where state = 'ready'
  and lane = 0
  and claim_rank < $1
order by claim_rank
limit $2
