-- Take up to $2 messages of channel $1 that are due, none before an older one of its incident; keep others off for $3 seconds.
update sexton.delivery
set tries = tries + 1,
    next_at = now() + make_interval(secs => $3)
where id in (select id
             from sexton.delivery
             where state = 'pending' and next_at <= now() and channel = $1
               and not exists (select
                               from sexton.delivery as older
                               where older.state = 'pending' and older.channel = $1 and older.id < delivery.id
                                 and older.message ->> 'incident' = delivery.message ->> 'incident')
             order by next_at, id
             limit $2
             for update skip locked)
returning id, event, channel, message, tries
