-- Forget up to $2 snapshots that nothing was enqueued with for $1 and that no run has, live or over.
delete from sexton.spec
where id = any (array(
    select id
    from sexton.spec
    where seen_at < now() - $1::interval
      and not exists (select from sexton.run where run.spec = spec.id)
      -- Who has it was enqueued at most a day after it was seen: of so old runs the history has few.
      and not exists (
          select from sexton.history
          where history.id < sexton.first_id(spec.seen_at + interval '3 days') and history.spec = spec.id)
    limit $2))
  -- What was enqueued with meanwhile is seen again.
  and seen_at < now() - $1::interval
