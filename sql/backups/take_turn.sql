-- Take the turn to say which backups are late, until the transaction ends; false while somebody else has it.
select pg_try_advisory_xact_lock(hashtextextended('sexton.backup', 0))
