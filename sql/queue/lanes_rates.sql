-- Lanes rates: when the rates of the gates $1 are whole again, where they are not yet.
select name, whole_at
from sexton.gate_rate
where name = any ($1)
  and whole_at > now()
