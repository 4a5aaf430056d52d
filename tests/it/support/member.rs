//! A place where one daemon after another runs, on a wire of its own, whatever is done to them.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Daemon, Proxy, Site, Wire};

/// How long a daemon that ended by itself stays away, as under systemd.
pub const RESTART: Duration = Duration::from_millis(300);

/// One place.
pub struct Member {
    /// Its configuration.
    pub site: Site,
    /// Its wire to the server.
    pub proxy: Proxy,
    /// Who runs there now.
    pub daemon: Option<Daemon>,
    /// When the next one comes.
    pub back: Instant,
    /// When it is thawed.
    pub thaw: Option<Instant>,
    /// When its wire is whole again.
    pub mend: Option<Instant>,
}

impl Member {
    /// One whose daemon comes with the first [`tend`](Self::tend).
    pub fn new(site: Site, proxy: Proxy) -> Self {
        Self { site, proxy, daemon: None, back: Instant::now(), thaw: None, mend: None }
    }

    /// Its daemon, if it has one that runs; the next one comes at `back`.
    pub fn leave(&mut self, back: Instant) -> Option<Daemon> {
        let daemon = self.daemon.take_if(|daemon| !daemon.has_ended())?;
        self.back = back;
        self.thaw = None;
        Some(daemon)
    }

    /// Sets its wire, until `mend`.
    pub fn wire(&mut self, wire: Wire, mend: Option<Instant>) -> bool {
        self.proxy.set(wire);
        self.mend = mend;
        true
    }

    /// Ends what is over by now, and starts who is due to come back.
    pub async fn tend(&mut self, now: Instant) {
        if self.mend.take_if(|at| *at <= now).is_some() {
            // What was silent for so long is dead.
            let silent = self.proxy.wire() == Wire::Blackhole;
            self.proxy.set(if silent { Wire::Cut } else { Wire::Pass });
            self.mend = silent.then_some(now + RESTART);
        }
        if let Some(daemon) = &mut self.daemon {
            if daemon.has_ended() {
                self.daemon = None;
                self.thaw = None;
                self.back = now + RESTART;
            } else if self.thaw.take_if(|at| *at <= now).is_some() {
                daemon.signal(Signal::CONT);
            }
        }
        if self.daemon.is_none() && self.back <= now {
            self.daemon = Some(self.site.daemon(&["run"]).await);
        }
    }
}
