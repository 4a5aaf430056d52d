-- What is usual of a name ($2) in a vault ($1): the last seven proven ones but for $3.
select count(*) as backups,
       percentile_cont(0.5) within group (order by bytes) as bytes,
       percentile_cont(0.5) within group (order by seconds) as seconds,
       max(taken_at) as newest
from (select bytes, seconds, taken_at
      from sexton.backup
      where vault = $1
        and name = $2
        and stem <> $3
        and state in ('proven', 'sampled')
        and deleted_at is null
      order by taken_at desc
      limit 7) as last
