-- Ends the sessions of the databases $1, and counts them.
select count(pg_terminate_backend(pid))
from pg_stat_activity
where datname = any($1) and pid <> pg_backend_pid()
