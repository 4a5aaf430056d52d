-- Beat: worker $1 is alive, and so is the lease of everything it holds, unless it was buried; the next comes within $2 seconds.
update sexton.worker
set seen_at = clock_timestamp(),
    quiet = make_interval(secs => $2),
    cleared_at = null
where id = $1
  and seen_at > '-infinity'
