-- Forget up to $2 pauses that ended more than $1 ago.
delete from sexton.schedule_pause
where id = any (array(
    select id from sexton.schedule_pause where coalesce(ended_at, until) < now() - $1::interval order by id limit $2))
