-- Forget up to $2 workers that have been silent for $1 and hold nothing.
delete from sexton.worker
where id = any (array(
    select id
    from sexton.worker
    where seen_at < now() - $1::interval
      and not exists (select from sexton.run where run.worker = worker.id and state = 'running')
    limit $2))
