-- Lock job $1 until the transaction ends, so that looking for a live run and enqueueing one are one step.
select pg_advisory_xact_lock(hashtextextended('sexton job ' || $1, 0))
