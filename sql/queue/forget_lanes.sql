-- Forget up to $2 lanes that nothing was enqueued in for $1 and that neither a run nor a snapshot has.
delete from sexton.lane
where id = any (array(
    select id
    from sexton.lane
    where id > 0
      and seen_at < now() - $1::interval
      and not exists (select from sexton.run where run.lane = lane.id)
      and not exists (select from sexton.spec where spec.lane = lane.id)
    limit $2))
