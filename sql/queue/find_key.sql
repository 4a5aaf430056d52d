-- Find the run that has key $2 of job $1, and whether it was asked for with parameters $3.
select run, digest = encode(sha256(convert_to($3::jsonb::text, 'UTF8')), 'hex') as same
from sexton.idempotency_key
where job = $1 and key = $2
