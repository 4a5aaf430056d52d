-- Refuses a number of days or rows that no caller can mean.
create or replace function sexton.checked_argument(name text, value integer) returns integer
language plpgsql immutable as $function$
begin
    if value is null or value < 1 then
        raise exception using errcode = '22023', message = format('%s is %s; it must be at least 1', name, coalesce(value::text, 'null')),
            hint = format('call it with %s => 365, say', name);
    end if;
    return value;
end
$function$;
