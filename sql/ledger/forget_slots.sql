-- Forget up to $2 decisions that were made more than $1 ago; the newest of each schedule stays.
delete from sexton.slot
where ctid = any (array(
    select ctid
    from sexton.slot as old
    where decided_at < now() - $1::interval
      and (exists (select from sexton.slot as newer where newer.schedule = old.schedule and newer.nominal_at > old.nominal_at)
           or not exists (select from sexton.schedule where schedule.name = old.schedule))
    order by decided_at
    limit $2))
