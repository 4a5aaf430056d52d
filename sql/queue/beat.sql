-- Beat: worker $1 is alive, and so is the lease of everything it holds, unless it was buried.
update sexton.worker
set seen_at = clock_timestamp()
where id = $1
  and seen_at > '-infinity'
