-- Bring rows $2 of data set $1 back.
select sexton.restore_step($1, $2)
