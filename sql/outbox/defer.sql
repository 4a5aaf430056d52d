-- Try the message again after $2 seconds, because of $3.
update sexton.delivery
set next_at = now() + make_interval(secs => $2),
    last_error = $3
where id = $1 and state = 'pending'
