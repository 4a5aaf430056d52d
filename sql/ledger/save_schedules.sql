-- Save the schedules of revision $1: names $2, jobs $3, enabled $4. A new one counts from now; so does a changed one, whose slots until now have their decisions.
insert into sexton.schedule (name, job, watermark, revision, enabled)
select given.name, given.job, now(), $1, given.enabled
from unnest($2::text[], $3::text[], $4::boolean[]) as given (name, job, enabled)
order by given.name
on conflict (name) do update
set job = excluded.job,
    watermark = greatest(schedule.watermark, excluded.watermark),
    revision = excluded.revision,
    enabled = excluded.enabled,
    removed_at = null
