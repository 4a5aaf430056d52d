-- End every open pause of schedule $1 (or of all, without a name), in the name of $2.
update sexton.schedule_pause
set ended_at = clock_timestamp(), ended_by = $2
where ended_at is null and (until is null or until > now()) and schedule is not distinct from $1
returning id, schedule, reason, author, made_at, ended_at as ends_at
