-- Depart: worker $1 is done; if it still holds something, its row stays and its leases run out.
delete from sexton.worker
where id = $1
  and not exists (select from sexton.run where worker = $1 and state = 'running')
