-- Lock chains $1 until the transaction ends, in the order of their keys, so that nobody waits in a circle.
select pg_advisory_xact_lock(key)
from (select distinct hashtextextended('sexton chain ' || chain, 0) as key
      from unnest($1::uuid[]) as given (chain)
      order by key) as keys
