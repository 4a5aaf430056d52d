-- Pauses that are open now, those of all schedules first.
select id, schedule, reason, author, made_at, until as ends_at
from sexton.schedule_pause
where ended_at is null and (until is null or until > now())
order by schedule nulls first, made_at
