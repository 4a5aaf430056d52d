-- Refuses an order that could not be carried out to its end, before a row moves.
create or replace function sexton.check_order(definition jsonb, "order" jsonb) returns void
language plpgsql stable as $function$
declare
    shape constant jsonb := sexton.checked_shape(definition);
begin
    perform sexton.check_conditions(definition, shape);
    perform sexton.check_privileges(definition, shape, "order");
end
$function$;
