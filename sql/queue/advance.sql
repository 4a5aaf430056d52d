-- Advance: of each job of $1, which the caller has locked, the first due run behind others is ready, if there are no others any more.
update sexton.run
set behind = false,
    state = 'ready'
where behind
  and id in (
      select distinct on (job) id
      from sexton.run
      where job = any ($1)
        and behind
        and due_at <= now()
        and pause_requested_at is null
      order by job, due_at, id)
  and not exists (select from sexton.run as other where other.job = run.job and not other.behind)
