-- Take the turn to decide, until the transaction ends; false while somebody else has it.
select pg_try_advisory_xact_lock(hashtextextended('sexton.event', 0))
