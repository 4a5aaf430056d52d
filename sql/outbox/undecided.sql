-- Take up to $1 events that nobody has decided yet, oldest first, with when people were last told of their incident.
select event.id, event.kind::text as kind, event.subject, event.run, event.incident, event.repeat, event.channels,
       event.detail, event.at,
       (select max(delivery.created_at)
        from sexton.event as earlier
        join sexton.delivery on delivery.event = earlier.id
        where earlier.incident = event.incident) as told_at
from sexton.event
where event.decided_at is null
order by event.id
limit $1
for update of event
