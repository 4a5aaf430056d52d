-- Glance: the database's time, the newest revision, and what changes whenever a pause begins or ends.
select
    now() as now,
    (select max(id) from sexton.revision) as revision,
    (select (count(*), max(id))::text
     from sexton.schedule_pause
     where ended_at is null and (until is null or until > now())) as pauses
