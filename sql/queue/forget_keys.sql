-- Forget up to $2 idempotency keys that were taken more than $1 ago.
delete from sexton.idempotency_key
where ctid = any (array(
    select ctid from sexton.idempotency_key where made_at < now() - $1::interval order by made_at limit $2))
