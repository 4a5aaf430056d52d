-- Write down the files of daemon $1 on host $2 with process $3: folder $4, digest $5, state $6, why $7. How many others
-- that live are in trouble?
insert into sexton.daemon_files as known (daemon, host, pid, folder, digest, state, why)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (daemon) do update
set host = excluded.host,
    pid = excluded.pid,
    folder = excluded.folder,
    digest = excluded.digest,
    state = excluded.state,
    why = excluded.why,
    at = case when known.state = excluded.state then known.at else now() end,
    seen_at = now()
returning (
    select count(*)
    from sexton.daemon_files as other
    where other.daemon <> $1 and other.state <> 'current' and other.seen_at > now() - interval '1 minute'
)
