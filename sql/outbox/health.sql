-- How these subjects fare, without waiting for anybody.
select subject, failures, failing_since, breaches, breached_since, incident, last_success_at, last_success_run, last_end_at
from sexton.health
where subject = any ($1)
