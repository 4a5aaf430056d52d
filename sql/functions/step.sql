-- Takes one step of an order: locks the next rows after `after` (null: the first), skipping those that somebody else
-- holds, reads their children only then, and moves them. One step, whoever calls it: a job commits after each, a
-- function goes on.
--
-- Gives `locked`, `after` (age and key of the last locked row), `rows`, `children`, `stuck` and `busy` (see
-- move_keys).
create or replace function sexton.step(definition jsonb, "order" jsonb, cutoff timestamptz, after text[], batch bigint) returns jsonb
language plpgsql
-- Rows are found by their keys whatever the planner thinks of the table's size, without spilling and without compiling.
set enable_seqscan = off set work_mem = '64MB' set jit = off
-- Keys and ages travel as text, so they must be spelled the same way whoever calls.
set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set extra_float_digits = 1 set bytea_output = 'hex'
as $function$
declare
    shape constant jsonb := sexton.locked_shape(definition);
    script constant jsonb := sexton.script(definition, shape, "order" || jsonb_build_object('after', after is not null));
    locked bigint;
    clock text;
    keys text[];
begin
    execute script ->> 'lock' into locked, clock, keys using cutoff, batch, after;
    if locked = 0 then
        return jsonb_build_object('locked', 0);
    end if;
    if "order" ->> 'to' = 'archive' then
        perform sexton.make_partitions(shape, script -> 'key', keys);
    end if;
    return sexton.move_keys(script, keys, "order" ->> 'by', "order" ->> 'reason', ("order" ->> 'patient')::boolean)
        || jsonb_build_object(
            'locked', locked,
            'after', array[clock] || array(select keys[at][locked] from generate_series(1, (script ->> 'width')::integer) at order by at)
        );
end
$function$;
