-- Give the message up, because of $2.
update sexton.delivery
set state = 'dead',
    settled_at = now(),
    last_error = $2
where id = $1 and state = 'pending'
returning event
