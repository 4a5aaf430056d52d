-- The instant so many times 24 hours ago, whatever the session's time zone does.
create or replace function sexton.days_ago(name text, days integer) returns timestamptz
language plpgsql stable as $function$
begin
    perform sexton.checked_argument(name, days);
    if days > 100000 then
        raise exception using errcode = '22023', message = format('%s is %s; it must be at most 100000', name, days),
            hint = format('call it with %s => 365, say', name);
    end if;
    return now() - make_interval(hours => 24 * days);
end
$function$;
