-- Lock these subjects, in the order that everybody locks them.
select subject, failures, failing_since, breaches, breached_since, incident, last_success_at, last_success_run, last_end_at
from sexton.health
where subject = any ($1)
order by subject
for update
