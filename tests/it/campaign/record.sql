-- Writes down every change of a run's state, in the order in which they happened to it.
create schema record;
create table record.change (
    id bigint generated always as identity primary key,
    transaction bigint not null default pg_current_xact_id()::text::bigint,
    run uuid not null,
    place text not null,
    before text,
    after text,
    token bigint,
    at timestamptz not null default clock_timestamp()
);
create function record.note() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.state is not distinct from new.state and old.token is not distinct from new.token then
        return null;
    end if;
    insert into record.change (run, place, before, after, token) values (
        case when tg_op = 'DELETE' then old.id else new.id end,
        tg_argv[0],
        case when tg_op <> 'INSERT' then old.state::text end,
        case when tg_op <> 'DELETE' then new.state::text end,
        case when tg_op = 'DELETE' then old.token else new.token end);
    return null;
end
$$;
create trigger note after insert or update or delete on sexton.run for each row execute function record.note('run');
create trigger note after insert or update or delete on sexton.history for each row execute function record.note('history');
