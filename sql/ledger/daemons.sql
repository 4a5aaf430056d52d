-- Daemons: those that were heard of last, with what they have on disk.
select daemon, host, pid, seen_at
from sexton.daemon_files
order by seen_at desc
limit 1000
