-- Forget how far up to $2 runs were that are over, written more than $1 ago.
delete from sexton.progress
where run = any (array(
    select run
    from sexton.progress
    where at < now() - $1::interval
      and not exists (select from sexton.run where run.id = progress.run)
    limit $2))
