-- Look: the database's time, the newest revision, and the watermark of every schedule that is on.
select
    now() as now,
    newest.id as revision,
    schedule.name,
    schedule.watermark,
    schedule.revision as held
from (select max(id) as id from sexton.revision) as newest
left join sexton.schedule on schedule.enabled and schedule.removed_at is null
order by schedule.name
