-- How many backups of each name there are in each state.
select name, state, count(*) as backups
from sexton.backup
where deleted_at is null
group by name, state
