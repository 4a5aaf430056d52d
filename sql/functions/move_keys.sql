-- Moves the given parent rows, which the caller has locked, with all that belongs to them.
--
-- A row that the other side refuses (its key is taken, a rule forbids it) stays, whole, and is told in `stuck` with
-- the reason; it is found by halving. With `patient`, so does one whose children somebody else holds, in `busy`;
-- otherwise that is an error for the caller to meet.
create or replace function sexton.move_keys(script jsonb, keys text[], by text, reason text, patient boolean) returns jsonb
language plpgsql as $function$
declare
    total constant integer := cardinality(keys) / (script ->> 'width')::integer;
    result jsonb;
    move jsonb;
    lock text;
    gone bigint;
    kept bigint;
    half jsonb;
    why text;
    code text;
    middle integer;
begin
    begin
        for lock in select value from jsonb_array_elements_text(script -> 'inner') loop
            execute lock into gone using null::timestamptz, null::bigint, null::text[], null::text[], keys;
        end loop;
        result := jsonb_build_object('rows', 0, 'children', '{}'::jsonb, 'stuck', '[]'::jsonb, 'busy', '[]'::jsonb);
        for move in select value from jsonb_array_elements(script -> 'moves') loop
            execute move ->> 'sql' into gone, kept
            using null::timestamptz, null::bigint, null::text[], null::text[], keys, by, reason;
            if gone <> kept or (move ->> 'parent')::boolean and gone <> total then
                raise exception using errcode = 'SX009',
                    message = format('a step was rolled back: of `%s` %s rows left and %s arrived, %s were expected',
                        move ->> 'table', gone, kept, case when (move ->> 'parent')::boolean then total else gone end),
                    hint = 'look for a trigger or rule on these tables that swallows or adds rows';
            end if;
            result := case when (move ->> 'parent')::boolean
                then jsonb_set(result, '{rows}', to_jsonb(gone))
                else jsonb_set(result, array['children', move ->> 'label'], to_jsonb(gone)) end;
        end loop;
        return result;
    exception when integrity_constraint_violation or lock_not_available then
        if sqlstate = '55P03' and not patient then
            raise;
        end if;
        get stacked diagnostics why = message_text;
        code := sqlstate;
    end;
    if code = '55P03' then
        -- Found by halving, the row would otherwise be waited for at each level.
        perform set_config('lock_timeout', '100ms', true);
    end if;

    if total = 1 then
        return jsonb_build_object('rows', 0, 'children', '{}'::jsonb,
            'stuck', case when code = '55P03' then '[]'
                else jsonb_build_array(jsonb_build_object('key', (sexton.key_names(keys))[1], 'why', why)) end,
            'busy', case when code = '55P03' then jsonb_build_array((sexton.key_names(keys))[1]) else '[]' end);
    end if;
    middle := total / 2;
    -- `[:]` keeps every row of the array, so that a key of several columns is halved as a whole.
    result := sexton.move_keys(script, keys[:][1:middle], by, reason, patient);
    half := sexton.move_keys(script, keys[:][middle + 1:], by, reason, patient);
    return sexton.sum_moves(result, half);
end
$function$;
