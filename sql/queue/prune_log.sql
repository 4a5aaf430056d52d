-- Prune the log of runs: old lines that came on a day without a partition; whole days are dropped, not deleted.
delete from sexton.run_log_default
where ctid = any (array(select ctid from sexton.run_log_default where at < now() - $1::interval limit 5000))
