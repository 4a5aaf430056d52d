-- The definition of a data set that was installed here.
create or replace function sexton.definition_of(dataset text) returns jsonb
language plpgsql stable as $function$
declare
    found jsonb;
begin
    select d.definition into found from sexton.dataset d where d.name = dataset;
    if found is null then
        raise exception using errcode = 'SX001', message = format('the data set `%s` is not installed here', dataset),
            hint = 'run `sexton db install`';
    end if;
    return found;
end
$function$;
