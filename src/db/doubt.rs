//! Doubts that a server is still the one to use, told by whoever an exchange failed for.

use std::sync::LazyLock;

use tokio::sync::watch;

static DOUBTS: LazyLock<watch::Sender<u64>> = LazyLock::new(watch::Sender::default);
static MOVES: LazyLock<watch::Sender<u64>> = LazyLock::new(watch::Sender::default);

/// Says that an exchange with a database failed, so that whoever [follows](super::follow()) one looks whether it is
/// still where it was and lets us in. Costs nothing; a doubt too many is one look.
pub fn doubt() {
    DOUBTS.send_modify(|count| *count = count.wrapping_add(1));
}

/// Changes with every doubt.
pub(super) fn doubts() -> watch::Receiver<u64> {
    DOUBTS.subscribe()
}

/// Says that a database is elsewhere now.
pub(super) fn moved() {
    MOVES.send_modify(|count| *count = count.wrapping_add(1));
}

/// Changes when a database is found elsewhere: who holds a connection that only hears would not notice.
pub fn moves() -> watch::Receiver<u64> {
    MOVES.subscribe()
}
