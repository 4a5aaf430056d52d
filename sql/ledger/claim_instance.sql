-- Say that this queue is $1's, in the name of $2, unless somebody said so before.
insert into sexton.installation (instance, said_by) values ($1, $2) on conflict do nothing
