-- Save jobs of revision $1: one for each element of the arrays; names, kinds, snapshots, parts, priorities, leases in seconds, attempts, what happens when lost.
insert into sexton.job (revision, name, kind, spec, parts, priority, lease, most_attempts, on_lost)
select $1, name, kind, spec, parts, priority, make_interval(secs => lease), most_attempts, on_lost
from unnest(
    $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::smallint[], $7::float8[], $8::integer[], $9::text[])
    as input (name, kind, spec, parts, priority, lease, most_attempts, on_lost)
on conflict (name) do update
set revision = excluded.revision,
    kind = excluded.kind,
    spec = excluded.spec,
    parts = excluded.parts,
    priority = excluded.priority,
    lease = excluded.lease,
    most_attempts = excluded.most_attempts,
    on_lost = excluded.on_lost
