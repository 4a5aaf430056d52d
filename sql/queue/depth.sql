-- Depth: how many runs are live in each state, and for how many seconds the oldest of them has been due.
select state::text as state, count(*) as runs, extract(epoch from now() - min(due_at))::float8 as oldest
from sexton.run
group by state
