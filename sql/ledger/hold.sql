-- Hold those of schedules $1 that are on under revision $2 and that nobody else holds, until the transaction ends.
select name, watermark, now() as now
from sexton.schedule
where name = any ($1) and revision = $2 and enabled and removed_at is null
order by name
for update skip locked
