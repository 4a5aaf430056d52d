-- Write down a backup that a vault has.
insert into sexton.backup (vault, stem, name, taken_at, bytes, dump_bytes, seconds, state, looked_at, proven_at,
                           restore_seconds, recipients, manifest)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (vault, stem) do update
set bytes = excluded.bytes,
    dump_bytes = excluded.dump_bytes,
    seconds = excluded.seconds,
    state = excluded.state,
    looked_at = excluded.looked_at,
    proven_at = excluded.proven_at,
    restore_seconds = excluded.restore_seconds,
    recipients = excluded.recipients,
    manifest = excluded.manifest,
    deleted_at = null
