-- Makes the archive tables of a data set match its main tables, and says what it changed.
create or replace function sexton.heal(definition jsonb) returns text[]
language plpgsql as $function$
declare
    changes text[];
    change text;
begin
    changes := sexton.archive_changes(definition, sexton.checked_shape(definition));
    if cardinality(changes) = 0 then
        return changes;
    end if;
    -- Another run may be making the same tables: look again once it is our turn.
    perform pg_advisory_xact_lock(hashtextextended('sexton archive ' || (definition ->> 'table'), 0));
    changes := sexton.archive_changes(definition, sexton.checked_shape(definition));
    foreach change in array changes loop
        execute change;
    end loop;
    return changes;
exception when object_in_use then
    raise exception using errcode = 'SX001',
        message = format('the archive of `%s` must change first, and cannot while the query that calls this function reads it: %s',
            definition ->> 'table', sqlerrm),
        hint = format('run this once, and then your query again: select sexton.heal(definition) from sexton.dataset where definition ->> ''table'' = %L;',
            definition ->> 'table');
end
$function$;
