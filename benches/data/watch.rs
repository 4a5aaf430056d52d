//! How long the transactions of a database take, seen from outside.

use std::{collections::HashMap, time::Duration};

use sqlx::Connection;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::site::Site;

/// Looks until it is told to end.
pub struct Watch {
    over: oneshot::Sender<()>,
    seen: JoinHandle<Seen>,
}

/// The longest transactions, to within a look's distance.
pub struct Seen {
    /// Of those that changed something.
    pub longest_writing: Duration,
    /// Of the others.
    pub longest_reading: Duration,
}

/// How often it looks.
const EVERY: Duration = Duration::from_millis(10);

impl Watch {
    pub async fn start(site: &Site, database: &'static str) -> Self {
        let mut connection = site.connect("postgres").await;
        let (over, mut ended) = oneshot::channel();
        let seen = tokio::spawn(async move {
            // Of each transaction: how old it was last, and whether it has written.
            let mut all: HashMap<(i32, i64), (i64, bool)> = HashMap::new();
            while ended.try_recv().is_err_and(|why| why == oneshot::error::TryRecvError::Empty) {
                let rows: Vec<(i32, i64, i64, bool)> = sqlx::query_as(
                    "select pid, (extract(epoch from xact_start) * 1000000)::bigint,
                            (extract(epoch from clock_timestamp() - xact_start) * 1000000)::bigint,
                            backend_xid is not null
                     from pg_stat_activity
                     where datname = $1 and backend_type = 'client backend' and xact_start is not null",
                )
                .bind(database)
                .fetch_all(&mut connection)
                .await
                .unwrap();
                for (pid, begun, age, writes) in rows {
                    let known = all.entry((pid, begun)).or_default();
                    *known = (age, known.1 || writes);
                }
                tokio::time::sleep(EVERY).await;
            }
            connection.close().await.unwrap();
            let longest = |writing| {
                let ages = all.values().filter(|known| known.1 == writing).map(|known| known.0);
                Duration::from_micros(ages.max().unwrap_or_default() as u64)
            };
            Seen { longest_writing: longest(true), longest_reading: longest(false) }
        });
        Self { over, seen }
    }

    pub async fn end(self) -> Seen {
        let _ = self.over.send(());
        self.seen.await.unwrap()
    }
}
