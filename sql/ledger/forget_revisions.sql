-- Forget up to $2 revisions that another replaced more than $1 ago and that nothing names; the newest twenty stay.
delete from sexton.revision
where id = any (array(
    select id
    from sexton.revision as old
    where id < (select id from sexton.revision order by id desc offset 19 limit 1)
      and (select applied_at from sexton.revision as next where next.id > old.id order by next.id limit 1) < now() - $1::interval
      and not exists (select from sexton.schedule where schedule.revision = old.id)
      and not exists (select from sexton.job where job.revision = old.id)
      -- It decided nothing after it was replaced.
      and not exists (
          select from sexton.slot
          where slot.decided_at < now() - $1::interval + interval '1 day' and slot.revision = old.id)
    order by id
    limit $2))
