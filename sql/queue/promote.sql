-- Promote up to $1 runs that have become due to ready, and say what there is to claim (of what is open only if $2, as that passes all
-- that runs), and in how many seconds the next one will be due.
with due as materialized (
    select id
    from sexton.run
    where wake_at <= now()
    order by wake_at
    limit $1
    for update skip locked
), promoted as (
    update sexton.run
    set state = 'ready'
    where id = any (array(select id from due))
    returning id, lane
)
select (select count(*) from promoted) as ready,
       exists (select from sexton.run where behind) as behind,
       not $2
       or exists (select from promoted where lane = 0)
       or exists (select from sexton.run where lane = 0 and claim_rank > '-infinity' and state = 'ready') as open,
       exists (select from promoted where lane > 0)
       or exists (select from sexton.run where lane > 0 and claim_rank > '-infinity') as gated,
       (select extract(epoch from wake_at - now())::float8
        from sexton.run
        where wake_at > now()
        order by wake_at
        limit 1) as next_in
