-- Lock jobs $1 until the transaction ends, always in the same order, so that looking for live runs and enqueueing are one step.
select pg_advisory_xact_lock(hashtextextended('sexton job ' || sorted.job, 0))
from (select distinct job collate "C" as job from unnest($1::text[]) as given (job) order by 1) as sorted
