-- Runs `statement` for the rows $1 to $2 of the batch and says how many it wrote. When the database refuses a value
-- or a constraint, the range is halved until the bad row stands alone; that one is noted with the reason, the others
-- go through.
create or replace function sexton.migrate_range(plan jsonb, statement text, first bigint, last bigint) returns bigint
language plpgsql as $function$
declare
    done bigint;
    state text;
    broken text;
    col text;
    said text;
begin
    execute statement using first, last;
    get diagnostics done = row_count;
    return done;
exception when data_exception or integrity_constraint_violation then
    if first < last then
        return sexton.migrate_range(plan, statement, first, (first + last) / 2)
            + sexton.migrate_range(plan, statement, (first + last) / 2 + 1, last);
    end if;
    get stacked diagnostics state = returned_sqlstate, broken = constraint_name, col = column_name, said = message_text;
    insert into pg_temp.sexton_migrate_bad (n, sqlstate, constraint_name, column_name, reason)
    select first, state, r.broken, r.col, r.why
    from sexton.migrate_reason(plan, first, state, broken, col, said) r;
    return 0;
end
$function$;
