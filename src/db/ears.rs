//! Hears notifications for a whole process, on one connection. They are only hints: who hears nothing looks by itself.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::doubt::moves;

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon to begin again.
const AGAIN: Duration = Duration::from_secs(2);

/// How one channel stands.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    on: bool,
}

/// Listens for the parts of a process.
#[derive(Debug)]
pub struct Ears {
    pool: PgPool,
    channels: Vec<(&'static str, watch::Sender<Heard>)>,
}

impl Ears {
    /// For a login that leads to the server itself, or to a pooler that keeps sessions.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, channels: Vec::new() }
    }

    /// An ear for a channel.
    pub fn on(&mut self, channel: &'static str) -> Ear {
        let (sender, heard) = watch::channel(Heard::default());
        self.channels.push((channel, sender));
        Ear(Some(heard))
    }

    /// Listens for as long as it is polled.
    pub async fn listen(self) {
        loop {
            if let Err(error) = self.hear().await {
                tracing::debug!(%error, "notifications do not arrive; everybody looks more often instead");
            }
            self.tell(|_| true, false);
            sleep(AGAIN).await;
        }
    }

    async fn hear(&self) -> Result<(), sqlx::Error> {
        let mut moves = moves();
        let connecting = PgListener::connect_with(&self.pool);
        let mut listener = timeout(PATIENCE, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        listener.listen_all(self.channels.iter().map(|(channel, _)| *channel)).await?;
        // Listen before looking: what was told in between would be lost.
        self.tell(|_| true, true);
        loop {
            let heard = tokio::select! {
                heard = listener.try_recv() => heard?,
                // A server that was left may go on saying nothing.
                _ = moves.changed() => return Ok(()),
            };
            let Some(told) = heard else { return Ok(()) };
            self.tell(|channel| channel == told.channel(), true);
        }
    }

    fn tell(&self, which: impl Fn(&str) -> bool, on: bool) {
        for (_, heard) in self.channels.iter().filter(|(channel, _)| which(channel)) {
            heard.send_replace(Heard { on });
        }
    }
}

/// Hears one channel; the default one is deaf.
#[derive(Debug, Clone, Default)]
pub struct Ear(Option<watch::Receiver<Heard>>);

impl Ear {
    /// Whether notifications arrive.
    pub fn is_on(&self) -> bool {
        self.0.as_ref().is_some_and(|heard| heard.borrow().on)
    }

    /// Waits until something was told since the last time, or notifications began to arrive or ceased to.
    pub async fn heard(&mut self) {
        if let Some(heard) = &mut self.0
            && heard.changed().await.is_ok()
        {
            return;
        }
        // Nobody listens any more.
        self.0 = None;
        std::future::pending().await
    }
}
