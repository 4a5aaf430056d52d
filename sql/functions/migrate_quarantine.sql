-- Puts the bad rows of the batch into the quarantine, and takes out what it had of rows that were corrected. Says how
-- many of them it did not have like this; a dry run only says so.
create or replace function sexton.migrate_quarantine(plan jsonb, dry_run boolean, by text, run uuid) returns bigint
language plpgsql as $function$
declare
    fresh bigint;
    touched text[];
    bad text[];
begin
    if dry_run then
        select count(*) into fresh
        from (
            select distinct array_to_string(b.key, ', ') as record, md5(b.content::text) as digest, d.reason
            from pg_temp.sexton_migrate_bad d
            join pg_temp.sexton_migrate_batch b using (n)
        ) d
        where not exists (
            select from sexton.quarantine q
            where q.dataset = plan ->> 'table' and q.source = plan ->> 'source'
              and q.record = d.record and q.digest = d.digest and q.reason = d.reason
              and q.found_at >= now() - interval '90 days'
        );
        return fresh;
    end if;
    -- In arrays, since the planner knows nothing of the batch's tables and would join them with the quarantine row by row.
    touched := array(
        select array_to_string(b.key, ', ')
        from pg_temp.sexton_migrate_batch b
        where b.n in (select d.n from pg_temp.sexton_migrate_bad d) or b.n in (select s."sexton #" from pg_temp.sexton_migrate_shadow s)
    );
    bad := array(
        select array_to_string(b.key, ', ') || ' ' || md5(b.content::text)
        from pg_temp.sexton_migrate_bad d
        join pg_temp.sexton_migrate_batch b using (n)
    );
    delete from sexton.quarantine q
    where q.dataset = plan ->> 'table' and q.source = plan ->> 'source' and q.record = any (touched)
      and q.record || ' ' || q.digest <> all (bad);
    insert into sexton.quarantine as q (dataset, source, record, digest, reason, sqlstate, constraint_name, column_name, content, run, found_by)
    select distinct on (b.key, md5(b.content::text))
           plan ->> 'table', plan ->> 'source', array_to_string(b.key, ', '), md5(b.content::text), d.reason, d.sqlstate, d.constraint_name,
           d.column_name, to_jsonb(b.content), run, by
    from pg_temp.sexton_migrate_bad d
    join pg_temp.sexton_migrate_batch b using (n)
    order by b.key, md5(b.content::text), d.n
    on conflict (dataset, source, record, digest) do update
    set reason = excluded.reason, sqlstate = excluded.sqlstate, constraint_name = excluded.constraint_name,
        column_name = excluded.column_name, run = excluded.run, found_by = excluded.found_by, found_at = excluded.found_at
    where q.reason <> excluded.reason;
    get diagnostics fresh = row_count;
    return fresh;
end
$function$;
