-- The receiver has the message.
update sexton.delivery
set state = 'delivered',
    settled_at = now(),
    last_error = null
where id = $1 and state = 'pending'
