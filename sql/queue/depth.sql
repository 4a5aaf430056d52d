-- Depth: how many runs are live in each state, and for how many seconds the oldest that is not paused has been due.
select state::text as state, count(*) as runs,
       coalesce(extract(epoch from now() - min(due_at) filter (where pause_requested_at is null)), -1)::float8 as oldest
from sexton.run
group by state
