-- Forget up to $2 events of more than $1 ago with their messages; not the first of a trouble that lasts, and none that is
-- still to be decided or told.
with old as materialized (
    select id
    from sexton.event
    where at < now() - $1::interval
      and decided_at is not null
      and not exists (select from sexton.delivery where delivery.event = event.id and state = 'pending')
      and not exists (select from sexton.health where health.incident = event.id)
    order by at
    limit $2
), told as (
    delete from sexton.delivery using old where delivery.event = old.id
)
delete from sexton.event using old where event.id = old.id
