-- The catalogue of backups: what the vaults have, as far as this queue's daemons have seen it. The vaults are the truth;
-- `sexton backups rebuild` fills it from them.
-- Compatible: a new table, and a word that an older binary never writes and is quiet about.

create table sexton.backup (
    vault text not null,
    stem text not null,
    name text not null,
    taken_at timestamptz not null,
    bytes bigint not null,
    dump_bytes bigint not null,
    seconds double precision,
    state text not null,
    looked_at timestamptz,
    proven_at timestamptz,
    restore_seconds double precision,
    recipients integer not null,
    manifest jsonb not null,
    deleted_at timestamptz,
    primary key (vault, stem)
);
comment on column sexton.backup.bytes is 'As they are stored, of all its parts.';
comment on column sexton.backup.seconds is 'How long taking it lasted.';
comment on column sexton.backup.looked_at is 'When the look ended that its state is from.';
comment on column sexton.backup.restore_seconds is 'How long restoring it lasted, at the newest look that did.';
comment on column sexton.backup.manifest is 'Without its fingerprint and the digests of its blocks.';
create index backup_name on sexton.backup (name, taken_at desc) where deleted_at is null;

alter type sexton.event_kind add value 'late';
