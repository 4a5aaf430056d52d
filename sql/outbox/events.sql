-- The newest events, for people to look at.
select id, kind::text as kind, subject, run, incident, repeat, channels, detail, at, decided_at, verdict
from sexton.event
order by id desc
limit $1
