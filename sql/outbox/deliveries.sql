-- The newest deliveries, for people to look at.
select id, event, channel, message, state::text as state, tries, next_at, last_error, created_at, settled_at
from sexton.delivery
order by id desc
limit $1
