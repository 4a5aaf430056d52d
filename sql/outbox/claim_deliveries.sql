-- Take up to $2 messages of channel $1 that are due, and keep others off them for $3 seconds.
update sexton.delivery
set tries = tries + 1,
    next_at = now() + make_interval(secs => $3)
where id in (select id
             from sexton.delivery
             where state = 'pending' and next_at <= now() and channel = $1
             order by next_at, id
             limit $2
             for update skip locked)
returning id, event, channel, message, tries
