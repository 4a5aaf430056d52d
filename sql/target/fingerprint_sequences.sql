-- The last value of every sequence; null while it was never used. Not of a snapshot: sequences have none.
select format('%I.%I', schemaname, sequencename) as name, last_value, increment_by
from pg_sequences
where schemaname !~ '^pg_' and schemaname <> 'information_schema'
order by name
