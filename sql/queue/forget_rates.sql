-- Forget up to $2 rates that have been whole again for $1.
delete from sexton.gate_rate
where name = any (array(select name from sexton.gate_rate where whole_at < now() - $1::interval limit $2))
