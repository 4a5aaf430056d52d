-- Register worker $1 on host $2 with pid $3, version $4 and process $5, or say that it is still here.
insert into sexton.worker (id, host, pid, version, process)
values ($1, $2, $3, $4, $5)
on conflict (id) do update set seen_at = clock_timestamp()
