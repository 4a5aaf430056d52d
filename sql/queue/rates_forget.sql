-- Rates forget: rates that are whole again.
delete from sexton.gate_rate
where whole_at < now() - interval '1 day'
