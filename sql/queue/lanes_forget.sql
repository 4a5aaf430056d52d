-- Lanes forget: lanes that nothing was enqueued in for 30 days and that no run has.
delete from sexton.lane
where id > 0
  and seen_at < now() - interval '30 days'
  and not exists (select from sexton.run where run.lane = lane.id)
