-- Log: what run $1 logged after line $3 of the attempt with token $2, of attempt $4 only if that is given, at most $5 lines.
select token, line, attempt, at, level, target, message, fields
from sexton.run_log
where run = $1
  and (token, line) > ($2, $3)
  and ($4::integer is null or attempt = $4)
order by token, line
limit $5
