-- Enqueue: applications queue runs of jobs in their own transactions, and a request that comes twice makes one run.
-- Compatible: new tables and functions and a column with a default. A revision that an older binary applies is not published;
-- sexton.enqueue refuses until a newer daemon has published it.

create table sexton.job (
    name text primary key,
    revision bigint not null,
    kind text not null,
    spec jsonb not null,
    parts jsonb not null,
    priority smallint not null,
    lease interval not null,
    most_attempts integer not null,
    on_lost text not null
);
comment on table sexton.job is 'The jobs of the current revision, as sexton.enqueue makes runs of them. Written with the revision, and by each daemon that starts.';
comment on column sexton.job.spec is 'What a run carries whose parameters all have their defaults.';
comment on column sexton.job.parts is 'For the job and then each link of its chain: its parameters, and what of the snapshot hangs on them.';

alter table sexton.revision add column default_alert text[];
comment on column sexton.revision.default_alert is 'Channels of jobs that name none; null until its jobs are in sexton.job.';

create table sexton.idempotency_key (
    job text not null,
    key text not null check (length(key) between 1 and 255),
    run uuid not null,
    digest text not null,
    made_at timestamptz not null default now(),
    primary key (job, key)
);
create index idempotency_key_made on sexton.idempotency_key (made_at);
comment on table sexton.idempotency_key is 'Requests that must make one run, however often they come. Kept for a week.';
comment on column sexton.idempotency_key.digest is 'Of the parameters as they were given.';

-- Another transaction that has taken the key and has not ended is waited for.
create function sexton.take_key(of_job text, the_key text, given jsonb, new_run uuid, out kept_run uuid, out same boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    wanted text := encode(sha256(convert_to(given::text, 'UTF8')), 'hex');
begin
    -- Pruned in between: it is free again.
    loop
        insert into sexton.idempotency_key (job, key, run, digest) values (of_job, the_key, new_run, wanted)
        on conflict do nothing;
        select k.run, k.digest = wanted into kept_run, same
        from sexton.idempotency_key as k
        where k.job = of_job and k.key = the_key;
        exit when found;
    end loop;
end
$$;

-- RFC 9562: milliseconds, then as much of the next microseconds as fits, then chance. Ids in the order of time.
create function sexton.uuid_v7(at timestamptz) returns uuid language sql volatile set search_path = pg_catalog, pg_temp as $$
    select encode(
        substring(int8send(micros / 1000) from 3) || int2send((28672 + micros % 1000 * 4096 / 1000)::smallint)
            || substring(uuid_send(gen_random_uuid()) from 9), 'hex')::uuid
    from (select (extract(epoch from at) * 1000000)::bigint as micros) as clock
$$;

create function sexton.edits(a text, b text) returns integer language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    last integer[] := array(select generate_series(0, length(b)));
    line integer[];
begin
    for i in 1 .. length(a) loop
        line := array[i];
        for j in 1 .. length(b) loop
            line[j + 1] := least(line[j] + 1, last[j + 1] + 1, last[j] + (substr(a, i, 1) <> substr(b, j, 1))::integer);
        end loop;
        last := line;
    end loop;
    return last[length(b) + 1];
end
$$;

-- Milliseconds of a length of time; null if it is none.
create function sexton.span_ms(written text) returns numeric language sql immutable set search_path = pg_catalog, pg_temp as $$
    select ms
    from (
        select part[1]::numeric
            * case part[2] when 'ms' then 1 when 's' then 1000 when 'm' then 60000 when 'h' then 3600000 else 86400000 end as ms
        from regexp_match(written, '^([0-9]{1,30})(ms|s|m|h|d)$') as part
    ) as read
    where ms <= 366000 * 86400000::numeric
$$;

-- The value as the parameter keeps it, or what is wrong with it; see src/catalog/params.rs, which does the same.
create function sexton.accept_param(declared jsonb, given jsonb, out value jsonb, out wrong text)
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    written text := given #>> '{}';
    is_text boolean := jsonb_typeof(given) = 'string';
    -- What the daemon counts as white space.
    white constant text := E' \t\n\r\u000B\u000C\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000';
    kind text := declared ->> 'type';
    span numeric;
    number numeric;
    one_of jsonb := coalesce(declared -> 'one_of', '[]');
begin
    if kind = 'boolean' and (jsonb_typeof(given) = 'boolean' or is_text and written in ('true', 'false')) then
        value := to_jsonb(written::boolean);
    elsif kind = 'integer' and (jsonb_typeof(given) = 'number' and written ~ '^-?[0-9]+$' or is_text and written ~ '^[+-]?[0-9]+$')
        and written::numeric between -9223372036854775808 and 9223372036854775807 then
        value := to_jsonb(written::bigint);
    elsif kind = 'number' and (jsonb_typeof(given) = 'number' or is_text and written ~ '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$') then
        begin
            number := written::float8::text::numeric;
            value := to_jsonb(case when scale(number) = 0 then number + 0.0 else number end);
        exception when numeric_value_out_of_range then
            value := null;
        end;
    elsif kind = 'text' and is_text then
        value := given;
    elsif kind = 'duration' and is_text then
        span := sexton.span_ms(written);
        value := to_jsonb((
            select trim_scale(span / unit.ms)::text || unit.name
            from (values ('d', 86400000), ('h', 3600000), ('m', 60000), ('s', 1000), ('ms', 1)) as unit (name, ms)
            where span % unit.ms = 0 and (span >= unit.ms or unit.ms = 1)
            order by unit.ms desc
            limit 1));
    elsif kind = 'strings' and jsonb_typeof(given) = 'array' then
        if not exists (select from jsonb_array_elements(given) as item (value) where jsonb_typeof(item.value) <> 'string') then
            value := given;
        end if;
    elsif kind = 'strings' and is_text then
        select coalesce(jsonb_agg(btrim(item, white) order by nth), '[]') into value
        from unnest(string_to_array(written, ',')) with ordinality as items (item, nth)
        where btrim(item, white) <> '';
    elsif kind = 'strings' and jsonb_typeof(given) = 'number' then
        value := jsonb_build_array(written);
    end if;
    if value is null then
        wrong := format('must be %s, not %s', case kind
            when 'boolean' then 'true or false' when 'integer' then 'a whole number' when 'number' then 'a number'
            when 'text' then 'a text' when 'duration' then 'a length of time such as `90s`, `15m` or `365d`'
            else 'a list of texts' end, given);
    elsif kind in ('integer', 'number', 'duration') and (
        case when kind = 'duration' then sexton.span_ms(value #>> '{}') < sexton.span_ms(declared ->> 'min')
        else (value #>> '{}')::float8 < (declared ->> 'min')::float8 end) then
        wrong := format('must be at least %s, not %s', declared ->> 'min', value #>> '{}');
    elsif kind in ('integer', 'number', 'duration') and (
        case when kind = 'duration' then sexton.span_ms(value #>> '{}') > sexton.span_ms(declared ->> 'max')
        else (value #>> '{}')::float8 > (declared ->> 'max')::float8 end) then
        wrong := format('must be at most %s, not %s', declared ->> 'max', value #>> '{}');
    elsif one_of <> '[]' and not exists (
        select from jsonb_array_elements(one_of) as choice (value)
        where choice.value = accept_param.value) and (kind <> 'strings' or exists (
            select from jsonb_array_elements(case when kind = 'strings' then value else '[]' end) as item (value)
            where not exists (select from jsonb_array_elements(one_of) as choice (value) where choice.value = item.value))) then
        wrong := format('must be one of %s, not %s',
            (select string_agg(choice #>> '{}', ', ') from jsonb_array_elements(one_of) as choice), value #>> '{}');
    end if;
end
$$;

-- A parameter's value in a gate's name: texts as they are, what is long by its digest.
create function sexton.gate_value(given jsonb) returns text language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case when octet_length(plain) <= 80 then plain
           else encode(substring(sha256(convert_to(plain, 'UTF8')) from 1 for 16), 'hex') end
    from (
        select coalesce(case jsonb_typeof(given)
            when 'array' then (
                select '[' || coalesce(string_agg(item::text, ',' order by nth), '') || ']'
                from jsonb_array_elements(given) with ordinality as items (item, nth))
            when 'number' then trim_scale((given #>> '{}')::numeric)::text
            else given #>> '{}' end, '') as plain
    ) as named
$$;

-- One part of a snapshot with these values, which are known to fit; see src/catalog/resolve.rs, which does the same.
create function sexton.resolve_part(spec jsonb, part jsonb, given jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    made jsonb := spec;
    at_table jsonb := spec -> 'table';
    params jsonb;
    one record;
    path text[];
    lane jsonb;
    limits jsonb;
begin
    select coalesce(jsonb_object_agg(name, coalesce(given -> name, declared -> 'default')), '{}') into params
    from jsonb_each(part -> 'params') as param (name, declared)
    where coalesce(given -> name, declared -> 'default') is not null;
    if part ->> 'keys' = 'true' then
        for one in select name, value from jsonb_each(params) as param (name, value) loop
            path := string_to_array(one.name, '.');
            for depth in 1 .. cardinality(path) - 1 loop
                if at_table #> path[:depth] is null then
                    at_table := jsonb_set(at_table, path[:depth], '{}');
                end if;
            end loop;
            at_table := jsonb_set(at_table, path, one.value);
        end loop;
    end if;
    select value into lane from jsonb_array_elements(part -> 'lanes') where params @> (value -> 'when') limit 1;
    if lane is null then
        raise exception using errcode = 'feature_not_supported',
            message = format('sexton.enqueue: what `%s` needs hangs on its parameter %s, for which `sexton.enqueue` knows no more than the default', part ->> 'job',
                (select string_agg('`' || name || '`', ', ') from jsonb_array_elements_text(part -> 'steers') as name)),
            hint = 'Give the parameter one_of = […] in the job''s file, so that its values are known, or trigger the job over HTTP.';
    end if;
    -- Gates in the order of their names; those of one name are one.
    select jsonb_agg(gate order by name collate "C") into limits
    from (
        select gate ->> 'name' as name, jsonb_object_agg(field, value) as gate
        from (
            select gate from jsonb_array_elements(lane -> 'limits') as gate
            union all
            select (keyed -> 'gate') || jsonb_build_object(
                'name', format('key:%s:%s', part ->> 'job', sexton.gate_value(params -> (keyed ->> 'param'))))
            from jsonb_array_elements(part -> 'keyed') as keyed
        ) as gates, jsonb_each(gate) as fields (field, value)
        group by gate ->> 'name'
    ) as named;
    made := made - array['params', 'needs', 'limits'] || jsonb_build_object('table', at_table);
    if params <> '{}' then
        made := made || jsonb_build_object('params', params);
    end if;
    if lane -> 'needs' <> '[]' then
        made := made || jsonb_build_object('needs', lane -> 'needs');
    end if;
    if limits is not null then
        made := made || jsonb_build_object('limits', limits);
    end if;
    return made;
end
$$;

-- What a run of the job with these parameters carries.
create function sexton.resolve(spec jsonb, parts jsonb, given jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    first constant jsonb := parts -> 0;
    fits jsonb := '{}';
    problems text[] := '{}';
    help text[] := '{}';
    one record;
    answer record;
    made jsonb;
begin
    for one in select name, value from jsonb_each(given) as param (name, value) loop
        if first -> 'params' -> one.name is null then
            problems := problems || format('`%s` has no parameter `%s`', first ->> 'job', one.name);
            help := help || format('What may be set: %s.', coalesce(
                (select string_agg(name, ', ' order by name) from jsonb_object_keys(first -> 'params') as name), 'nothing'));
            continue;
        end if;
        answer := sexton.accept_param(first -> 'params' -> one.name, one.value);
        if answer.wrong is not null then
            problems := problems || format('`%s` %s', one.name, answer.wrong);
            continue;
        end if;
        fits := fits || jsonb_build_object(one.name, answer.value);
    end loop;
    for one in
        select name from jsonb_each(first -> 'params') as param (name, declared)
        where not declared ? 'default' and not given ? name
    loop
        problems := problems || format('`%s` needs the parameter `%s`', first ->> 'job', one.name);
        help := help || format('Give it a value: params => ''{"%s": …}''.', one.name);
    end loop;
    for one in
        select part ->> 'job' as job, name, declared, fits -> name as value
        from jsonb_array_elements(parts) with ordinality as links (part, nth), jsonb_each(part -> 'params') as param (name, declared)
        where nth > 1 and fits ? name
    loop
        answer := sexton.accept_param(one.declared, one.value);
        if answer.wrong is not null then
            problems := problems || format('`%s` %s', one.name, answer.wrong);
            help := help || format('It is handed on to `%s`, which comes after `%s`.', one.job, first ->> 'job');
        end if;
    end loop;
    if cardinality(problems) > 0 then
        raise exception using errcode = 'invalid_parameter_value',
            message = 'sexton.enqueue: ' || array_to_string(problems, '; '),
            hint = coalesce(nullif(array_to_string(array(select distinct unnest(help)), ' '), ''),
                'Give values that the [params] of the job''s file take.');
    end if;
    if fits = '{}' then
        return spec;
    end if;
    made := sexton.resolve_part(spec, first, fits);
    if made ? 'then' then
        made := made || jsonb_build_object('then', (
            select jsonb_agg(sexton.resolve_part(link, parts -> nth::integer, fits) order by nth)
            from jsonb_array_elements(spec -> 'then') with ordinality as links (link, nth)));
    end if;
    return made;
end
$$;

create function sexton.enqueue(
    job text, params jsonb default '{}', due_at timestamptz default null, priority integer default null,
    key text default null, requested_by text default null)
returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    made_at constant timestamptz := clock_timestamp();
    new_id constant uuid := sexton.uuid_v7(made_at);
    given constant jsonb := coalesce(enqueue.params, '{}');
    -- Whoever is logged in; the current user is this function's owner.
    who constant text := coalesce(enqueue.requested_by, session_user::text);
    kept record;
    known sexton.job;
    made jsonb;
    shared record;
    near text;
begin
    if enqueue.job is null then
        raise exception using errcode = 'invalid_parameter_value', message = 'sexton.enqueue: no job is named',
            hint = 'Give the name of a file in jobs/ without .toml: sexton.enqueue(''NAME'').';
    end if;
    if jsonb_typeof(given) <> 'object' then
        raise exception using errcode = 'invalid_parameter_value',
            message = format('sexton.enqueue: params must be an object, not %s', jsonb_typeof(given)),
            hint = 'Write params => ''{"NAME": VALUE}''.';
    end if;
    if enqueue.priority not between -100 and 100 then
        raise exception using errcode = 'invalid_parameter_value',
            message = format('sexton.enqueue: priority must be -100 to 100, not %s', enqueue.priority),
            hint = 'A point is worth a minute of waiting.';
    end if;
    if not isfinite(enqueue.due_at) then
        raise exception using errcode = 'invalid_parameter_value', message = 'sexton.enqueue: due_at must be a time',
            hint = 'Leave it out for now.';
    end if;
    if length(who) not between 1 and 200 then
        raise exception using errcode = 'invalid_parameter_value',
            message = format('sexton.enqueue: requested_by must have 1 to 200 characters, not %s', length(who)),
            hint = 'Name the program or the person that asks.';
    end if;
    if enqueue.key is not null then
        if length(enqueue.key) not between 1 and 255 then
            raise exception using errcode = 'invalid_parameter_value',
                message = format('sexton.enqueue: key must have 1 to 255 characters, not %s', length(enqueue.key)),
                hint = 'Use what names the request, such as an order''s number or a UUID.';
        end if;
        kept := sexton.take_key(enqueue.job, enqueue.key, given, new_id);
        if not kept.same then
            raise exception using errcode = 'invalid_parameter_value',
                message = format('sexton.enqueue: the key `%s` of `%s` was used with other parameters, for run %s', enqueue.key, enqueue.job, kept.kept_run),
                hint = 'Use a new key for a new request.';
        end if;
        if kept.kept_run <> new_id then
            return kept.kept_run;
        end if;
    end if;
    if (select r.default_alert is null from sexton.revision as r order by r.id desc limit 1) is not false then
        raise exception using errcode = 'object_not_in_prerequisite_state',
            message = 'sexton.enqueue: no daemon has published its jobs in this queue',
            hint = 'Start `sexton run` of a version that has sexton.enqueue.';
    end if;
    select * into known from sexton.job as j where j.name = enqueue.job;
    if not found then
        select j.name into near from sexton.job as j
        where sexton.edits(j.name, left(enqueue.job, 100)) <= 3
        order by sexton.edits(j.name, left(enqueue.job, 100)), j.name
        limit 1;
        raise exception using errcode = 'invalid_parameter_value',
            message = format('sexton.enqueue: no job `%s` is active', enqueue.job),
            hint = coalesce('Did you mean `' || near || '`?', format('The jobs are: %s.', (
                select coalesce(string_agg(few.name, ', ' order by few.name), 'none')
                from (select j.name from sexton.job as j order by j.name limit 20) as few)));
    end if;
    made := sexton.resolve(known.spec, known.parts, given);
    -- What hangs on the parameters is the run's own; see src/queue/snapshot.rs, which does the same.
    shared := sexton.keep_spec(case when made ? 'params' then made - array['params', 'table', 'then'] else made end);
    insert into sexton.run (
        id, job, kind, state, due_at, rank, priority, spec, own, leads, lane, lease, most_attempts, on_lost, chain, requested_by, first_due_at)
    select new_id, known.name, known.kind,
           case when coalesce(enqueue.due_at, made_at) <= made_at then 'ready' else 'waiting' end::sexton.live_state,
           due.at, due.at - own.priority * interval '1 minute', own.priority,
           shared.id,
           case when made ? 'params' then (
               select jsonb_object_agg(part.name, part.value) from jsonb_each(made) as part (name, value)
               where part.name in ('params', 'table', 'then')) end,
           made ? 'then', shared.lane, known.lease, known.most_attempts, known.on_lost, new_id, who, due.at
    from (select coalesce(enqueue.due_at, made_at) as at) as due,
         (select coalesce(enqueue.priority::smallint, known.priority) as priority) as own;
    -- Sent with the commit, once for the whole transaction.
    perform pg_notify('sexton_run', 'ready');
    return new_id;
end
$$;
comment on function sexton.enqueue is 'Queues a run of a job in the caller''s transaction and gives its id. See docs/enqueue.md.';

revoke execute on function sexton.enqueue, sexton.resolve, sexton.resolve_part, sexton.gate_value, sexton.accept_param,
    sexton.span_ms, sexton.edits, sexton.uuid_v7, sexton.take_key, sexton.keep_spec, sexton.spec_id from public;
