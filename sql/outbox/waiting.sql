-- Waiting: whether events wait for a decision, and in how many seconds each of the channels $1 may send a message that waits for no older one of its incident.
select exists (select from sexton.event where decided_at is null) as undecided,
       (select coalesce(jsonb_object_agg(channel, due_in), '{}')
        from (select channel, extract(epoch from min(next_at) - now())::double precision as due_in
              from sexton.delivery
              where state = 'pending' and channel = any ($1)
                and not exists (select
                                from sexton.delivery as older
                                where older.state = 'pending' and older.channel = delivery.channel
                                  and older.id < delivery.id
                                  and older.message ->> 'incident' = delivery.message ->> 'incident')
              group by channel) as next) as due_in
