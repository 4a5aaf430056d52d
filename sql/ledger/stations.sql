-- The files of every daemon that has been heard of in the last minute.
select daemon, host, pid, folder, digest, state, why, at, seen_at
from sexton.daemon_files
where seen_at > now() - interval '1 minute'
order by host, folder, pid
