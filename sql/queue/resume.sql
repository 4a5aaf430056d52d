-- Resume run $1 for $2: it may be claimed again, and the record says who paused it and for how long.
-- Of the history, it looks at what ended since $3.
with wanted as materialized (
    select id, pause_requested_at, pause_by, pause_why
    from sexton.run
    where id = $1
    for update
), resumed as (
    update sexton.run
    set pause_requested_at = null,
        pause_by = null,
        pause_why = null,
        attempts = attempts || jsonb_build_object(
            'outcome', 'resumed', 'why', 'by ' || $2::text, 'paused_by', wanted.pause_by, 'paused_why', wanted.pause_why,
            'paused_at', wanted.pause_requested_at, 'resumed_by', $2::text, 'resumed_at', clock_timestamp())
    from wanted
    where run.id = wanted.id
      and wanted.pause_requested_at is not null
)
select case
           when exists (select from wanted where pause_requested_at is not null) then 'resumed'
           when exists (select from wanted) then 'unpaused'
           else (select state::text from sexton.history where id = $1 and finished_at >= $3)
       end
