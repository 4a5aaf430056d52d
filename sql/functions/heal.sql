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
end
$function$;
