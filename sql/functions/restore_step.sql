-- Moves rows back from the archive by name (see name_sql). What cannot come back is told in `refused`, by name, with
-- the reason, and stays where it is, whole.
create or replace function sexton.restore_step(definition jsonb, names text[]) returns jsonb
language plpgsql
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set extra_float_digits = 1 set bytea_output = 'hex'
-- A step knows its rows by their keys. Thousands of them make the planner read the whole table instead, at every step.
set enable_seqscan = off set jit = off
as $function$
declare
    shape constant jsonb := sexton.locked_shape(definition);
    "order" constant jsonb := '{"from": "archive", "to": "main", "keep_critical": false, "keep_open": false}';
    nothing constant jsonb := '{"rows": 0, "children": {}, "stuck": [], "busy": []}';
    script jsonb;
    wanted text[];
    archived text[] := '{}';
    times bigint[];
    keys text[];
    present text[];
    good integer[];
    locked text[];
    locked_keys text[];
    result jsonb;
    refused jsonb := '[]';
    name text;
    key text;
    why text;
    at integer;
begin
    -- Nobody else brings the same rows back at the same time.
    perform pg_advisory_xact_lock(hashtextextended('sexton restore ' || (definition ->> 'table'), 0));
    select array_agg(distinct n) into wanted from unnest(names) n where n is not null;
    if not exists (select from jsonb_array_elements(shape -> 'nodes') n where n #>> '{archive,oid}' is null) then
        script := sexton.script(definition, shape, "order");
        execute script ->> 'named' into archived, times, keys using null::timestamptz, null::bigint, null::text[], wanted;
        execute script ->> 'named_main' into present using null::timestamptz, null::bigint, null::text[], wanted;
        select array_agg(n order by n)
        into good
        from generate_series(1, cardinality(archived)) n
        where times[n] = 1 and archived[n] <> all (coalesce(present, '{}'));
        if cardinality(good) > 0 then
            keys := sexton.pick_keys(keys, good);
            execute script ->> 'lock_keys' into locked using null::timestamptz, null::bigint, null::text[], null::text[], keys;
            if cardinality(locked) > 0 then
                result := sexton.move_keys(script, locked, null, null, true);
            end if;
        end if;
    end if;
    result := coalesce(result, nothing);
    locked_keys := sexton.key_names(locked);
    for name in select distinct n from unnest(names) n order by n loop
        at := array_position(archived, name);
        key := (sexton.key_names(sexton.pick_keys(keys, array[array_position(good, at)])))[1];
        why := case
            when name = any (present) then 'already exists in main table'
            when at is null then 'not found in archive'
            when times[at] > 1 then format('is in the archive %s times: bring one back by its key', times[at])
            when key <> all (coalesce(locked_keys, '{}')) or result -> 'busy' ? key then 'is in use by somebody else'
            else (select s ->> 'why' from jsonb_array_elements(result -> 'stuck') s where s ->> 'key' = key)
        end;
        if why is not null then
            refused := refused || jsonb_build_object('name', name, 'why', why);
        end if;
    end loop;
    return jsonb_build_object('rows', result -> 'rows', 'children', result -> 'children', 'refused', refused);
end
$function$;
