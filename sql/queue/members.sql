-- Members of chains $1: their runs, live and over, with what comes after each.
select id, job, chain, parent, state::text as state, (spec->>'format')::bigint as format, spec->'then' as then,
       schedule, nominal_at, caught_up, null::text as why
from sexton.run
where id = any ($1)
   or (chain = any ($1) and parent is not null)
union all
select id, job, chain, parent, state::text, (spec->>'format')::bigint, spec->'then',
       schedule, nominal_at, caught_up, why
from sexton.history
where chain = any ($1)
order by id
