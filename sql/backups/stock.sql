-- What each vault has of each name in each state: how many, how many bytes, and when the newest was taken.
select vault, name, state, count(*) as backups, sum(bytes)::bigint as bytes, max(taken_at) as newest
from sexton.backup
where deleted_at is null
group by vault, name, state
