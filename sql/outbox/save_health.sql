-- Write how these subjects fare now; their rows are locked.
update sexton.health
set failures = new.failures,
    failing_since = new.failing_since,
    breaches = new.breaches,
    breached_since = new.breached_since,
    incident = new.incident,
    last_success_at = new.last_success_at,
    last_success_run = new.last_success_run,
    last_end_at = new.last_end_at
from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::timestamptz[], $6::uuid[],
            $7::timestamptz[], $8::uuid[], $9::timestamptz[])
    as new (subject, failures, failing_since, breaches, breached_since, incident, last_success_at, last_success_run, last_end_at)
where health.subject = new.subject
