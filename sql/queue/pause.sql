-- Pause run $1 for $2 because of $3: nobody claims it until it is resumed, and who has it is asked to give it back.
-- Of the history, it looks at what ended since $4.
with wanted as materialized (
    select id, state, pause_requested_at is not null as paused
    from sexton.run
    where id = $1
    for update
), asked as (
    update sexton.run
    set pause_requested_at = clock_timestamp(),
        pause_by = $2,
        pause_why = $3
    from wanted
    where run.id = wanted.id
      and not paused
)
select case
           when exists (select from wanted where paused) then 'already'
           when exists (select from wanted where state = 'running') then 'asked'
           when exists (select from wanted) then 'kept'
           else (select state::text from sexton.history where id = $1 and finished_at >= $4)
       end
