-- Give up messages that have been due for $2 seconds, for a channel which is none of $1 and which nobody has tried since, because of $3.
update sexton.delivery
set state = 'dead',
    settled_at = now(),
    last_error = $3
where state = 'pending' and channel <> all ($1) and created_at < now() - make_interval(secs => $2)
  and next_at < now() - make_interval(secs => $2)
  and not exists (select
                  from sexton.delivery as tried
                  where tried.channel = delivery.channel and tried.tries > 0
                    and tried.next_at > now() - make_interval(secs => $2))
returning id, event, channel, message, tries
