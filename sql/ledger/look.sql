-- Look: the database's time, the newest revision, and the watermark of every schedule that is on, and whether it is paused.
select
    now() as now,
    newest.id as revision,
    schedule.name,
    schedule.watermark,
    schedule.revision as held,
    exists (
        select from sexton.schedule_pause as pause
        where
            pause.ended_at is null
            and (pause.until is null or pause.until > now())
            and (pause.schedule is null or pause.schedule = schedule.name)
    ) as paused
from (select max(id) as id from sexton.revision) as newest
left join sexton.schedule on schedule.enabled and schedule.removed_at is null
order by schedule.name
