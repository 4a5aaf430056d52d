-- Wait for the turn to backfill schedule $1, and keep it until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('sexton backfill ' || $1, 0))
