-- Begin an attempt of run $1 with token $2, from cursor $3 if it is the first; no row if a newer attempt has begun.
insert into sexton.step as step (run, token, cursor)
values ($1, $2, $3)
on conflict (run) do update
set token = excluded.token,
    at = clock_timestamp()
where step.token < excluded.token
returning cursor, counts
