-- Queue a message for a channel; the same event is told once on each.
insert into sexton.delivery (id, event, channel, message)
values ($1, $2, $3, $4)
on conflict (event, channel) do nothing
