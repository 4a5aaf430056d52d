-- Say what was decided about an event.
update sexton.event
set decided_at = now(),
    verdict = $2
where id = $1
