-- Lock those jobs until the transaction ends that have a due run behind others and that nobody else has locked.
select behind.job
from (select distinct job from sexton.run where behind and due_at <= now()) as behind
where pg_try_advisory_xact_lock(hashtextextended('sexton job ' || behind.job, 0))
