-- How much is still to be decided and to be sent by these channels, and in how many seconds the next one is due.
select (select count(*) from sexton.event where decided_at is null) as undecided,
       count(*) as pending,
       extract(epoch from min(next_at) - now())::double precision as due_in
from sexton.delivery
where state = 'pending' and channel = any ($1)
