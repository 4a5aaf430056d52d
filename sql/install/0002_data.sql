-- What the functions that are called by hand need: the definitions that they read, rows that are held, and the digests
-- of what is installed.

create table sexton.dataset (
    name text primary key,
    definition jsonb not null,
    checks jsonb not null default '[]',
    installed_at timestamptz not null default clock_timestamp(),
    installed_by text not null default session_user
);
comment on table sexton.dataset is
    'The data sets that functions called by hand work on, as jobs/datasets/ had them when `sexton db install` ran. Jobs carry their own.';
revoke all on sexton.dataset from public;

create table sexton.hold (
    dataset text not null,
    name text not null,
    reason text not null,
    until timestamptz,
    held_by text not null default session_user,
    held_at timestamptz not null default clock_timestamp(),
    primary key (dataset, name)
);
comment on table sexton.hold is
    'Rows that must not be moved or deleted (legal holds): the data set''s table, the row''s name (known_by, else the key), and why. Without `until` it holds for good.';
revoke all on sexton.hold from public;

create table sexton.part (
    name text primary key,
    digest text not null,
    installed_at timestamptz not null default clock_timestamp(),
    installed_by text not null default session_user
);
comment on table sexton.part is 'Groups of functions that Sexton has installed here, with the digest of their text.';
revoke all on sexton.part from public;
