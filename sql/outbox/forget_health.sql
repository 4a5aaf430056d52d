-- Forget how up to $2 subjects fare that had no news for $1, and that are no job and have no run.
delete from sexton.health
where subject = any (array(
    select subject
    from sexton.health
    where greatest(last_end_at, last_success_at, failing_since, breached_since, '-infinity') < now() - $1::interval
      and not exists (select from sexton.job where job.name = subject)
      and not exists (select from sexton.run where run.job = subject)
    limit $2))
