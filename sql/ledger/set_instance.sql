-- Say that this queue is $1's from now on, in the name of $2.
insert into sexton.installation (instance, said_by) values ($1, $2)
on conflict (one) do update set instance = excluded.instance, said_by = excluded.said_by, said_at = now()
