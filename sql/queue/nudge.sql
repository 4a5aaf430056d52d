-- Nudge every worker to look: $1 is what for.
select pg_notify('sexton_run', $1)
