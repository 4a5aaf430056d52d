-- Members of chains $1: their runs, live and over since $2, with what comes after each.
select one.id, job, chain, parent, state, (spec.body ->> 'format')::bigint as format,
       coalesce(own -> 'then', spec.body -> 'then') as then, schedule, nominal_at, caught_up, why
from (
    select id, job, chain, parent, state::text as state, spec, own, schedule, nominal_at, caught_up, null::text as why
    from sexton.run
    where id = any ($1)
       or (chain = any ($1) and parent is not null)
    union all
    select id, job, chain, parent, state::text, spec, own, schedule, nominal_at, caught_up, why
    from sexton.history
    where (id = any ($1) or (chain = any ($1) and parent is not null))
      and finished_at >= $2
) as one
left join sexton.spec on spec.id = one.spec
order by one.id
