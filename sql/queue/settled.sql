-- Settled: which attempts, with tokens $2 of runs $1, have ended; of the history, what ended since $3.
select given.run, given.token
from unnest($1::uuid[], $2::bigint[]) as given (run, token)
join sexton.history on history.id = given.run and history.token = given.token and history.finished_at >= $3
union all
select given.run, given.token
from unnest($1::uuid[], $2::bigint[]) as given (run, token)
join sexton.run on run.id = given.run and run.token = given.token and run.state <> 'running'
