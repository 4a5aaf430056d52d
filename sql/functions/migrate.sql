-- Migrates a whole source in the caller's transaction, by the same batches as a job: what a function that is called by
-- hand does. Gives the sums of migrate_batch's counts, `source`, and the first hundred bad rows in `samples`.
create or replace function sexton.migrate(definition jsonb, source text, batch bigint, dry_run boolean) returns jsonb
language plpgsql as $function$
declare
    plan constant jsonb := sexton.migrate_plan(definition, source);
    total jsonb := '{"read": 0, "migrated": 0, "there": 0, "invalid": 0, "quarantined": 0, "samples": []}';
    part jsonb;
    after text[];
begin
    perform sexton.migrate_open(plan);
    if not dry_run then
        perform sexton.migrate_forget();
    end if;
    loop
        part := sexton.migrate_batch(plan, after, batch, (total ->> 'read')::bigint, dry_run, session_user);
        exit when part -> 'read' = '0';
        after := array(select jsonb_array_elements_text(part -> 'after'));
        total := sexton.sum_batches(total, part);
        raise debug '% rows so far', total ->> 'read';
    end loop;
    perform sexton.migrate_close();
    return total || jsonb_build_object('source', plan -> 'source');
end
$function$;
