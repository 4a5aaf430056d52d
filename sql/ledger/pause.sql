-- Pause schedule $1 (or all, without a name) for the reason $2, in the name of $3, until $4 or for good, from this very instant.
insert into sexton.schedule_pause (schedule, reason, author, made_at, until)
values ($1, $2, $3, clock_timestamp(), $4)
returning id, schedule, reason, author, made_at, until as ends_at
