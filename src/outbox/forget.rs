//! What of the outbox is forgotten: old events with their messages, and how jobs fared that are long gone.

use crate::db::forget::Forget;

/// Events that are decided and told, with their messages; the first of a trouble that lasts stays.
pub const EVENTS: Forget = Forget { statement: include_str!("../../sql/outbox/forget_events.sql") };
/// How subjects fared that are no job any more and had no news.
pub const HEALTH: Forget = Forget { statement: include_str!("../../sql/outbox/forget_health.sql") };
