-- Migrates the next batch: up to `size` rows (more where rows share a key) of the source after the key `after`, of
-- which `before` were read so far. A dry run does the same but for the last insert and the quarantine.
--
-- Each row is looked at by itself first: it is `invalid`, or main or the archive has it already (`there`), or it clashes
-- with another one (invalid too), or it is `migrated`. Gives these counts, `read`, `quarantined` (rows that were
-- not yet in the quarantine like this), `after`, and the first bad rows in `samples`.
create or replace function sexton.migrate_batch(
    plan jsonb, after text[], size bigint, before bigint, dry_run boolean, by text, run uuid default null
) returns jsonb
language plpgsql
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set extra_float_digits = 1 set bytea_output = 'hex'
as $function$
declare
    first constant bigint := before + 1;
    last bigint;
    count bigint;
    there bigint := 0;
    mapped bigint;
    bad bigint;
    migrated bigint;
    statement text;
begin
    truncate pg_temp.sexton_migrate_batch, pg_temp.sexton_migrate_bad, pg_temp.sexton_migrate_probe, pg_temp.sexton_migrate_mapped;
    if not dry_run then
        -- A dry run keeps what it would have inserted, so that later rows clash with it.
        truncate pg_temp.sexton_migrate_shadow;
    end if;
    execute plan ->> 'read' using size, before, after;
    get diagnostics count = row_count;
    if count = 0 then
        return '{"read": 0, "migrated": 0, "there": 0, "invalid": 0, "quarantined": 0, "samples": []}';
    end if;
    last := before + count;

    perform sexton.migrate_range(plan, plan ->> 'map', first, last);
    for statement in select jsonb_array_elements_text(plan -> 'refusals') loop
        execute statement;
        delete from pg_temp.sexton_migrate_mapped m using pg_temp.sexton_migrate_bad b where b.n = m."sexton #";
    end loop;
    for statement in select jsonb_array_elements_text(plan -> 'there') loop
        execute statement;
        get diagnostics count = row_count;
        there := there + count;
    end loop;
    for statement in select jsonb_array_elements_text(plan -> 'clashes') loop
        execute statement;
        delete from pg_temp.sexton_migrate_mapped m using pg_temp.sexton_migrate_bad b where b.n = m."sexton #";
    end loop;
    select count(*) into mapped from pg_temp.sexton_migrate_mapped;
    select count(*) into bad from pg_temp.sexton_migrate_bad;
    migrated := sexton.migrate_range(plan, plan ->> 'shadow', first, last);
    if not dry_run then
        -- What the shadow let through is refused here only by a trigger, or by what somebody else did meanwhile.
        migrated := sexton.migrate_range(plan, plan ->> 'insert', first, last);
    end if;
    -- Of what was mapped, what is neither migrated nor bad by now has the same name as a row before it.
    select there + mapped - migrated - (count(*) - bad) into there from pg_temp.sexton_migrate_bad;
    return jsonb_build_object(
        'read', last - before,
        'migrated', migrated,
        'there', there,
        'invalid', (select count(*) from pg_temp.sexton_migrate_bad),
        'quarantined', sexton.migrate_quarantine(plan, dry_run, by, run),
        'after', (select to_jsonb(b.key) from pg_temp.sexton_migrate_batch b where b.n = last),
        'samples', (
            select coalesce(jsonb_agg(jsonb_build_object('record', array_to_string(s.key, ', '), 'reason', s.reason) order by s.n), '[]')
            from (
                select d.n, b.key, d.reason
                from pg_temp.sexton_migrate_bad d
                join pg_temp.sexton_migrate_batch b using (n)
                order by d.n
                limit 100
            ) s
        )
    );
end
$function$;
