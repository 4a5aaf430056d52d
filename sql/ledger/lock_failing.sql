-- Lock the count of failures of schedule $1 until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('sexton failing ' || $1, 0))
