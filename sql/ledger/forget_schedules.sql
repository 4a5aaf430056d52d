-- Forget up to $2 schedules that were removed more than $1 ago.
delete from sexton.schedule
where name = any (array(select name from sexton.schedule where removed_at < now() - $1::interval limit $2))
