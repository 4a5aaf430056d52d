-- Freeze every schedule that is on until the transaction ends.
select name from sexton.schedule where enabled and removed_at is null order by name for update
