-- Queue a message for a channel, to be sent at once or not before $5; the same event is told once on each.
insert into sexton.delivery (id, event, channel, message, next_at)
values ($1, $2, $3, $4, coalesce($5::timestamptz, now()))
on conflict (event, channel) do nothing
