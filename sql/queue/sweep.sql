-- Sweep away workers that have been silent for a day and hold nothing.
delete from sexton.worker
where seen_at < now() - interval '1 day'
  and not exists (select from sexton.run where run.worker = worker.id and state = 'running')
