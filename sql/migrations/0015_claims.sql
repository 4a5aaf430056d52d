-- A claim touches no index: what runs keeps its place among what is ready until it ends.
-- Not compatible: older daemons' claims read an index that is gone, and their heartbeats do not say how long they may be silent.

alter table sexton.run
    add column claim_rank timestamptz generated always as (
        case when state = 'running' and lane > 0 then '-infinity'::timestamptz
             when state in ('ready', 'running') and pause_requested_at is null then rank end) stored,
    add column wake_at timestamptz generated always as (
        case when state in ('waiting', 'retrying') and not behind then due_at end) stored;
comment on column sexton.run.claim_rank is
    'Where a claim finds it while it is ready. It stays there while it runs, so that the claim changes no indexed column and the new row lies beside the old one (HOT); behind gates it goes first, where the holders are counted.';
comment on column sexton.run.wake_at is 'When it becomes ready.';

create index run_claim on sexton.run (lane, claim_rank) where claim_rank is not null;
create index run_wake on sexton.run (wake_at) where wake_at is not null;
drop index sexton.run_lane;
drop index sexton.run_due;
drop index sexton.run_holder;
-- Room beside each row for its claimed one.
alter table sexton.run set (fillfactor = 45);

alter table sexton.worker
    add column quiet interval not null default '0',
    add column cleared_at timestamptz;
comment on column sexton.worker.quiet is
    'How long after seen_at nobody looks for what it holds: less than the shortest lease among it.';
comment on column sexton.worker.cleared_at is
    'Silent, and found to hold nothing. Its next heartbeat ends that; and now and then the silent are looked at whether or not.';
