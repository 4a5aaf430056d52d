-- Prune idempotency keys that are older than $1.
delete from sexton.idempotency_key where made_at < now() - $1::interval
