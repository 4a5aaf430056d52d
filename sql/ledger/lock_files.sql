-- Lock the files until the transaction ends: revisions are made one after the other.
select pg_advisory_xact_lock(hashtextextended('sexton files', 0))
