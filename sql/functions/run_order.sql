-- Carries out an order from beginning to end in the caller's transaction, by the same steps as a job: what a function
-- that is called by hand does. `dry_run` only counts.
--
-- Gives `rows`, `children`, `stuck`, `skipped` and `totals`.
create or replace function sexton.run_order(definition jsonb, "order" jsonb, cutoff timestamptz, batch bigint, dry_run boolean) returns jsonb
language plpgsql
-- Rows that somebody else holds are skipped and looked at again; nobody is waited for longer.
set lock_timeout = '2s'
as $function$
declare
    result jsonb := '{"rows": 0, "children": {}, "stuck": [], "busy": []}';
    patient constant jsonb := "order" || '{"patient": true}';
    totals jsonb;
    step jsonb;
    part jsonb;
    after text[];
    skipped bigint := 0;
begin
    if dry_run then
        result := sexton.preview(definition, "order", cutoff, null);
        return jsonb_build_object('rows', result -> 'rows', 'children', result -> 'children', 'totals', result -> 'totals',
            'stuck', '[]'::jsonb, 'skipped', 0);
    end if;
    perform sexton.check_order(definition, "order");
    if "order" ->> 'to' = 'archive' then
        perform sexton.heal(definition);
    end if;
    totals := sexton.totals(definition, "order", cutoff);
    for part in select value from jsonb_array_elements(sexton.whole_partitions(definition, "order", cutoff)) loop
        begin
            perform sexton.prepare_partition(part, false);
            perform sexton.prepare_partition(part, true);
            step := sexton.take_partition(definition, "order", cutoff, part, 9223372036854775807);
            if step is not null then
                result := sexton.sum_moves(result, '{"stuck": [], "busy": []}'::jsonb || step);
            end if;
        exception when lock_not_available or object_in_use then
            -- Somebody works on it: its rows go one by one.
        end;
    end loop;
    for pass in 1 .. 3 loop
        result := result || '{"stuck": [], "busy": []}';
        after := null;
        loop
            step := sexton.step(definition, patient, cutoff, after, batch);
            exit when (step ->> 'locked')::bigint = 0;
            result := sexton.sum_moves(result, step);
            after := array(select jsonb_array_elements_text(step -> 'after'));
            raise debug '% rows so far', result ->> 'rows';
        end loop;
        skipped := (sexton.totals(definition, "order", cutoff) ->> 'eligible')::bigint - jsonb_array_length(result -> 'stuck');
        exit when skipped <= 0;
        perform pg_sleep(0.25 * pass);
    end loop;
    if skipped > 0 then
        raise warning '% rows stayed because somebody else holds them; run it again', skipped;
    end if;
    if jsonb_array_length(result -> 'stuck') > 0 then
        raise warning '% rows stayed, the first of them (%) because: %', jsonb_array_length(result -> 'stuck'),
            result #>> '{stuck,0,key}', result #>> '{stuck,0,why}';
    end if;
    return jsonb_build_object('rows', result -> 'rows', 'children', result -> 'children', 'totals', totals,
        'stuck', result -> 'stuck', 'skipped', greatest(skipped, 0));
end
$function$;
