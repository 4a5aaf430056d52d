-- Pauses of schedules $1, and of all, that end after $2 or not at all, the earliest first.
select id, schedule, reason, author, made_at, coalesce(ended_at, until) as ends_at
from sexton.schedule_pause
where (schedule is null or schedule = any ($1)) and coalesce(ended_at, until, 'infinity') > $2
order by made_at, id
