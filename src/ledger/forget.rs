//! What of the ledger is forgotten: decisions, pauses, schedules and revisions of long ago, and daemons that left.

use std::time::Duration;

use crate::db::forget::Forget;

/// Decisions of slots; the newest of each schedule stays.
pub const SLOTS: Forget = Forget { statement: include_str!("../../sql/ledger/forget_slots.sql") };
/// Pauses that ended.
pub const PAUSES: Forget = Forget { statement: include_str!("../../sql/ledger/forget_pauses.sql") };
/// Schedules that were removed.
pub const SCHEDULES: Forget = Forget { statement: include_str!("../../sql/ledger/forget_schedules.sql") };
/// Revisions that were replaced; what a slot or a schedule names stays, and so do the newest twenty.
pub const REVISIONS: Forget = Forget { statement: include_str!("../../sql/ledger/forget_revisions.sql") };

/// When a daemon that is silent is gone for good.
pub const STATIONS_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The files of daemons that are silent.
pub const STATIONS: Forget = Forget { statement: include_str!("../../sql/ledger/forget_stations.sql") };
