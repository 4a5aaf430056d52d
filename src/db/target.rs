//! Named databases that jobs work on.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::task::AbortOnDropHandle;

use super::{ACQUIRE, Login, Sources, follow};

/// One named database.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name in `sexton.toml`.
    pub name: String,
    /// How to log in.
    pub login: Login,
    /// Where the client programs for it are, if it says so.
    pub pg_bin: Option<PathBuf>,
    /// Which tables a migration may read.
    pub sources: Sources,
    connections: Arc<Connections>,
}

/// The pool of a target, and what keeps it where the database is.
#[derive(Debug)]
struct Connections {
    pool: PgPool,
    /// The version of the login that the pool knows.
    version: AtomicU64,
    /// Where several hosts are named; begun with the first use.
    following: OnceLock<AbortOnDropHandle<()>>,
}

impl Target {
    /// A target whose pool connects when first used.
    pub fn new(name: impl Into<String>, login: Login, pg_bin: Option<PathBuf>) -> Self {
        // Whatever the database's defaults are (the collector's has a statement timeout of 30 s), Sexton's
        // steps set their own with SET LOCAL.
        let pool = super::lazy_pool(
            &login,
            PgPoolOptions::new().max_connections(8).acquire_timeout(ACQUIRE),
            "set statement_timeout = 0; set idle_in_transaction_session_timeout = '10min'",
        );
        let version = AtomicU64::new(login.version());
        let connections = Arc::new(Connections { pool, version, following: OnceLock::new() });
        Self { name: name.into(), login, pg_bin, sources: Sources::default(), connections }
    }

    /// The same target, where migrations may read these tables.
    #[must_use]
    pub fn with_sources(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// Connections to it: where it is and as it lets us in now.
    pub fn pool(&self) -> &PgPool {
        let Connections { pool, version, following } = &*self.connections;
        self.login.reread();
        let now = self.login.version();
        if version.swap(now, Ordering::Relaxed) != now {
            pool.set_connect_options(self.login.options());
        }
        if self.login.has_several_hosts() && tokio::runtime::Handle::try_current().is_ok() {
            following
                .get_or_init(|| AbortOnDropHandle::new(tokio::spawn(follow(self.login.clone(), vec![pool.clone()]))));
        }
        pool
    }
}

/// All targets that the settings name.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<BTreeMap<String, Target>>);

/// A name that the settings do not have.
#[derive(Debug, thiserror::Error)]
#[error("no target `{name}` in the settings of this daemon; it has: {known}")]
pub struct UnknownTarget {
    name: String,
    known: String,
}

impl Targets {
    /// Collects targets by their names.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        Self(Arc::new(targets.into_iter().map(|target| (target.name.clone(), target)).collect()))
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Result<&Target, UnknownTarget> {
        self.0.get(name).ok_or_else(|| UnknownTarget {
            name: name.to_owned(),
            known: if self.0.is_empty() {
                "none".to_owned()
            } else {
                self.0.keys().cloned().collect::<Vec<_>>().join(", ")
            },
        })
    }
}
