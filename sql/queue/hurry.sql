-- Hurry: the cancel that was asked of runs $1 leaves them no time.
update sexton.run set cancel_at_once = true where id = any ($1)
