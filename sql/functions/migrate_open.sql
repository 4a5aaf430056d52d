-- Makes the session's own tables for the batches of a migration: the rows as they are read, as they are mapped (with
-- all that main demands of a row by itself), as they would stand beside each other in main (with its unique indexes),
-- and what is wrong with them. None of them draws from main's sequences.
create or replace function sexton.migrate_open(plan jsonb) returns void
language plpgsql as $function$
declare
    main constant text := plan ->> 'main_sql';
    col text;
    extra text;
begin
    perform sexton.migrate_close();
    execute format('create temp table sexton_migrate_batch (n bigint primary key, key text[] not null, content %s not null)', plan ->> 'source');
    create temp table sexton_migrate_bad (n bigint primary key, sqlstate text not null, constraint_name text, column_name text, reason text not null);
    execute format('create temp table sexton_migrate_probe as select * from %s with no data', main);
    execute format('create temp table sexton_migrate_mapped (like %s including defaults including constraints including generated, "sexton #" bigint)', main);
    execute format('create temp table sexton_migrate_shadow (like %s including defaults including generated including indexes, "sexton #" bigint)', main);
    for extra in
        select i.indexrelid::regclass::text
        from pg_index i
        where i.indrelid = 'pg_temp.sexton_migrate_shadow'::regclass and not i.indisunique and not i.indisexclusion
    loop
        execute format('drop index %s', extra);
    end loop;
    for col in select jsonb_array_elements_text(plan -> 'numbered') loop
        for extra in
            select format(case when k.oid is null then 'drop index %s' else 'alter table pg_temp.sexton_migrate_shadow drop constraint %2$I' end,
                i.indexrelid::regclass, k.conname)
            from pg_index i
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
            left join pg_constraint k on k.conindid = i.indexrelid
            where i.indrelid = 'pg_temp.sexton_migrate_shadow'::regclass and a.attname = col
        loop
            execute extra;
        end loop;
        execute format('alter table pg_temp.sexton_migrate_mapped alter column %I drop not null, alter column %1$I drop default', col);
        execute format('alter table pg_temp.sexton_migrate_shadow alter column %I drop not null, alter column %1$I drop default', col);
    end loop;
end
$function$;
