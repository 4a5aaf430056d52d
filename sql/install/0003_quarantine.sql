-- Rows that a migration refused, whole, with the reason.

create table sexton.quarantine (
    id bigint generated always as identity primary key,
    dataset text not null,
    source text not null,
    record text not null,
    digest text not null,
    reason text not null,
    sqlstate text not null,
    constraint_name text,
    column_name text,
    content jsonb not null,
    run uuid,
    found_by text not null,
    found_at timestamptz not null default clock_timestamp(),
    unique (dataset, source, record, digest)
);
comment on table sexton.quarantine is
    'Rows of legacy tables that could not be migrated, and why. It holds personal data (`content` is the whole row): nobody is granted anything on it but its owner, and every migration that is no dry run removes what was found more than 90 days ago. A row that was corrected and migrated leaves it.';
comment on column sexton.quarantine.dataset is 'The table that the row was meant for.';
comment on column sexton.quarantine.record is 'The row''s key in the source.';
comment on column sexton.quarantine.digest is 'Tells one version of the row from another.';
create index on sexton.quarantine (found_at);
revoke all on sexton.quarantine from public;
