-- Lanes ready: whether a run that needs something or that something limits is ready.
select exists (select from sexton.run where state = 'ready' and lane > 0 and pause_requested_at is null)
