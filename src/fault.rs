//! Points at which a test ends, fails or delays this very process: a debug build's only, a release build has none.
//!
//! `SEXTON_FAULT=claim.committed:2:kill` strikes the second time that this process comes by; several are separated by
//! commas. `kill` is kill -9 of the process, `err` a broken connection, `delay` two seconds, `panic` a bug.
//! `SEXTON_FAULT_SEEN` names a file that gets a line for each point that this process reaches the first time, and for
//! each blow.

use std::io;

/// Every point, in the order in which a run comes by. A test strikes at each.
pub const POINTS: [&str; 23] = [
    "enqueue.made",
    "enqueue.committed",
    "plan.decided",
    "plan.committed",
    "claim.asked",
    "claim.committed",
    "attempt.begun",
    "step.moved",
    "step.committed",
    "backup.stored",
    "backup.declared",
    "attempt.done",
    "settle.written",
    "settle.committed",
    "beat.asked",
    "beat.heard",
    "rescue.written",
    "rescue.committed",
    "outbox.decided",
    "outbox.committed",
    "outbox.claimed",
    "outbox.sent",
    "outbox.settled",
];

/// Nothing.
///
/// # Errors
/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &'static str) -> std::future::Ready<io::Result<()>> {
    std::future::ready(Ok(()))
}

/// Strikes if it is time to.
///
/// # Errors
/// What `err` asks for.
#[cfg(debug_assertions)]
pub async fn point(name: &'static str) -> io::Result<()> {
    debug_assert!(POINTS.contains(&name), "{name} is not in POINTS");
    match armed::strike(name) {
        None => Ok(()),
        Some(armed::Blow::Kill) => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::future::pending().await
        }
        Some(armed::Blow::Err) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "a test broke the connection")),
        Some(armed::Blow::Panic) => panic!("a test asked for a panic at {name}"),
        Some(armed::Blow::Delay) => {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            Ok(())
        }
    }
}

#[cfg(debug_assertions)]
mod armed {
    //! What the environment asks for, read once.

    use std::{
        collections::HashMap,
        env,
        fs::OpenOptions,
        io::Write as _,
        sync::{LazyLock, Mutex, PoisonError},
    };

    /// What happens at a point.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Blow {
        Kill,
        Err,
        Panic,
        Delay,
    }

    struct Armed {
        blows: Vec<(String, u64, Blow)>,
        seen: Option<String>,
        hits: Mutex<HashMap<&'static str, u64>>,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let (blows, seen) = (env::var("SEXTON_FAULT").ok(), env::var("SEXTON_FAULT_SEEN").ok());
        let read = |text: String| text.split(',').filter_map(blow).collect();
        (blows.is_some() || seen.is_some()).then(|| Armed {
            blows: blows.map(read).unwrap_or_default(),
            seen,
            hits: Mutex::default(),
        })
    });

    /// `NAME:N:BLOW`.
    pub(super) fn blow(text: &str) -> Option<(String, u64, Blow)> {
        let mut parts = text.split(':');
        let (name, nth, blow) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let blow = match blow {
            "kill" => Blow::Kill,
            "err" => Blow::Err,
            "panic" => Blow::Panic,
            "delay" => Blow::Delay,
            _ => return None,
        };
        Some((name.to_owned(), nth, blow))
    }

    pub(super) fn strike(name: &'static str) -> Option<Blow> {
        let armed = ARMED.as_ref()?;
        let nth = {
            let mut hits = armed.hits.lock().unwrap_or_else(PoisonError::into_inner);
            let hits = hits.entry(name).or_default();
            *hits += 1;
            *hits
        };
        let struck = armed.blows.iter().find(|blow| blow.0 == name && blow.1 == nth);
        let word = struck.map_or(name.to_owned(), |(name, nth, blow)| format!("{name}:{nth}:{blow:?}").to_lowercase());
        let file = armed.seen.as_ref().filter(|_| nth == 1 || struck.is_some());
        if let Some(mut file) = file.and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok()) {
            // One write: the lines of several processes do not mix.
            let _ = file.write_all(format!("{word}\n").as_bytes());
        }
        struck.map(|blow| blow.2)
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::{armed::*, *};

    #[tokio::test]
    async fn without_a_word_nothing_happens() {
        assert_eq!(blow("claim.asked:2:kill"), Some(("claim.asked".to_owned(), 2, Blow::Kill)));
        assert_eq!(blow("claim.asked:two:kill"), None);
        for name in POINTS {
            assert!(point(name).await.is_ok());
        }
    }
}
