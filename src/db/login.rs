//! How to log in to a database: where it is, as whom, and with which password; all of it as of now.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::Instant;

use super::{
    hosts::{self, Hosts},
    standing,
};
use crate::secret::{Kept, Secret};

/// How to reach a database: a `postgres://` URL, with its password kept apart so that it can be given to child
/// processes in a file and never on a command line.
///
/// A URL may name several hosts: the login leads to the one that takes writes, as far as is known. Where the password
/// or the URL came from a file, the file is read again whenever somebody connects.
#[derive(Clone)]
pub struct Login {
    shared: Arc<Shared>,
    /// Another database than the URL's.
    database: Option<String>,
}

struct Shared {
    url: Kept,
    password: Option<Kept>,
    pooled: bool,
    now: RwLock<Now>,
}

/// What holds now.
#[derive(Debug, Clone)]
struct Now {
    hosts: Hosts,
    password: Option<Secret>,
    /// The host that takes writes, as far as is known.
    at: usize,
    /// Since when; connections that are older lead elsewhere.
    since: Instant,
    /// Whether it led elsewhere before.
    moved: bool,
    /// Whether the host was found out, or is the only one.
    chosen: bool,
    /// Counts every change.
    version: u64,
}

/// Why a login cannot be used. Never shows the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The text is no URL.
    #[error(
        "the database URL cannot be read: {0}; write postgres://USER@HOST:PORT/DATABASE (socket folder: postgres:///DATABASE?host=/run/postgresql&user=USER, several hosts: postgres://USER@HOST:PORT,HOST:PORT/DATABASE)"
    )]
    Url(#[from] url::ParseError),
    /// Another scheme.
    #[error("the database URL starts with `{0}:`; write postgres://USER@HOST:PORT/DATABASE")]
    Scheme(String),
    /// A URL that sqlx refuses.
    #[error("the database URL cannot be used: {0}")]
    Options(String),
    /// `?host=a,b&port=1,2,3`.
    #[error("the database URL names {hosts} hosts and {ports} ports; give every host its port, or all of them one")]
    Ports {
        /// How many hosts.
        hosts: usize,
        /// How many ports.
        ports: usize,
    },
    /// A role that no job can work with.
    #[error(
        "the database URL asks for target_session_attrs={0}; leave it out: Sexton itself uses the host that takes writes"
    )]
    Role(String),
}

impl Login {
    /// Reads a URL. `password` wins over one in the URL.
    pub fn new(url: &Secret, password: Option<Secret>) -> Result<Self, LoginError> {
        Self::kept(Kept::inline(url.clone()), password.map(Kept::inline))
    }

    /// The same with secrets that may change in their files.
    pub fn kept(url: Kept, password: Option<Kept>) -> Result<Self, LoginError> {
        let hosts = hosts::hosts(url.secret.reveal())?;
        for url in &hosts.urls {
            url.as_str().parse::<PgConnectOptions>().map_err(|error| LoginError::Options(error.to_string()))?;
        }
        let secret = password.as_ref().map(|kept| kept.secret.clone()).or_else(|| hosts.password.clone());
        let chosen = hosts.urls.len() == 1;
        let now = Now { hosts, password: secret, chosen, at: 0, since: Instant::now(), moved: false, version: 0 };
        let shared = Shared { url, password, pooled: false, now: RwLock::new(now) };
        Ok(Self { shared: Arc::new(shared), database: None })
    }

    /// The same through a pooler in transaction mode: nothing is set on a session, since the next transaction may be
    /// on another one.
    #[must_use]
    pub fn pooled(self) -> Self {
        let Shared { url, password, now, .. } = &*self.shared;
        let now = RwLock::new(now.read().unwrap_or_else(PoisonError::into_inner).clone());
        let shared = Shared { url: url.clone(), password: password.clone(), pooled: true, now };
        Self { shared: Arc::new(shared), database: self.database }
    }

    /// Whether it leads through a pooler in transaction mode.
    pub fn is_pooled(&self) -> bool {
        self.shared.pooled
    }

    /// Whether several hosts are named.
    pub fn has_several_hosts(&self) -> bool {
        self.now().hosts.urls.len() > 1
    }

    /// For sqlx: where the login leads now.
    pub fn options(&self) -> PgConnectOptions {
        self.reread();
        let now = self.now();
        self.options_of(&now, now.at)
    }

    fn options_of(&self, now: &Now, at: usize) -> PgConnectOptions {
        let options: PgConnectOptions = now.hosts.urls[at].as_str().parse().unwrap_or_default();
        let options = match &now.password {
            Some(password) => options.password(password.reveal()),
            None => options,
        };
        let options = match &self.database {
            Some(name) => options.database(name),
            None => options,
        };
        // A pooler refuses parameters that it cannot keep apart.
        let options = if self.shared.pooled { options.extra_float_digits(None) } else { options };
        options.application_name("sexton").statement_cache_capacity(200)
    }

    /// Connects, to the host that takes writes where several are named.
    ///
    /// # Errors
    /// The server's, or, where several are named, why none of them can be used.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let known = self.is_chosen() && standing::ask(self.options()).await.is_writable();
        if self.has_several_hosts() && !known {
            self.choose().await?;
        }
        PgConnection::connect_with(&self.options()).await
    }

    /// Finds the host that takes writes.
    ///
    /// # Errors
    /// What each of them is instead.
    pub(super) async fn choose(&self) -> Result<(), sqlx::Error> {
        self.reread();
        let now = self.now();
        let asking = (0..now.hosts.urls.len()).map(|at| standing::ask(self.options_of(&now, at)));
        let standings = futures::future::join_all(asking).await;
        match standing::pick(now.at, &standings) {
            Some(at) => {
                self.change(|now| {
                    let moves = at != now.at && at < now.hosts.urls.len();
                    if moves {
                        (now.at, now.since, now.moved) = (at, Instant::now(), true);
                        let place = hosts::address(&now.hosts.urls[at]);
                        tracing::info!("{} takes writes at {place} now", now.hosts.shown);
                    }
                    now.chosen = true;
                    moves
                });
                Ok(())
            }
            None => Err(standing::none(&now.hosts.urls, standings)),
        }
    }

    /// Reads again what came from files.
    pub(super) fn reread(&self) {
        let again = |kept: &Kept| std::fs::read_to_string(kept.file.as_ref()?).ok().and_then(|text| Kept::read(&text));
        let Shared { url, password, .. } = &*self.shared;
        if url.file.is_none() && password.as_ref().is_none_or(|kept| kept.file.is_none()) {
            return;
        }
        // What is broken, gone or empty for a moment is read again; until then, what was known holds.
        let found = again(url).and_then(|text| hosts::hosts(text.reveal()).ok());
        let fixed =
            password.as_ref().map(|kept| again(kept).or_else(|| kept.file.is_none().then(|| kept.secret.clone())));
        self.change(|now| {
            let hosts = found.filter(|found| *found != now.hosts);
            let secret = match fixed {
                Some(fixed) => fixed.or_else(|| now.password.clone()),
                None => hosts.as_ref().map_or_else(|| now.password.clone(), |hosts| hosts.password.clone()),
            };
            let other = hosts.is_some() || secret != now.password;
            if let Some(hosts) = hosts {
                let moves = hosts.urls != now.hosts.urls;
                now.hosts = hosts;
                if moves {
                    (now.at, now.since, now.moved) = (0, Instant::now(), true);
                    now.chosen = now.hosts.urls.len() == 1;
                }
            }
            now.password = secret;
            if other {
                tracing::info!("the login of {} changed in its file; it is used from now on", now.hosts.shown);
            }
            other
        });
    }

    fn change(&self, change: impl FnOnce(&mut Now) -> bool) {
        let mut now = self.shared.now.write().unwrap_or_else(PoisonError::into_inner);
        if change(&mut now) {
            now.version += 1;
        }
    }

    fn now(&self) -> Now {
        self.shared.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts every change of what holds.
    pub(super) fn version(&self) -> u64 {
        self.now().version
    }

    /// Since when it leads where it leads.
    pub(super) fn since(&self) -> Instant {
        self.now().since
    }

    /// Whether the host that takes writes was found out. The first of several may be a standby, or an old primary.
    pub(super) fn is_chosen(&self) -> bool {
        self.now().chosen
    }

    /// Whether it led elsewhere before.
    pub(super) fn has_moved(&self) -> bool {
        self.now().moved
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn database(&self, name: &str) -> Self {
        Self { shared: self.shared.clone(), database: Some(name.to_owned()) }
    }

    /// The environment that libpq programs (`pg_dump`, `pg_restore`, `psql`) read; the password is not in it.
    pub fn libpq(&self) -> Vec<(&'static str, String)> {
        let options = self.options();
        let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |s| s.display().to_string());
        let mut env = vec![
            ("PGHOST", host),
            ("PGPORT", options.get_port().to_string()),
            ("PGUSER", options.get_username().to_owned()),
            ("PGAPPNAME", "sexton".to_owned()),
            ("PGCONNECT_TIMEOUT", "10".to_owned()),
        ];
        env.extend(options.get_database().map(|name| ("PGDATABASE", name.to_owned())));
        let now = self.now();
        for (key, value) in now.hosts.urls[now.at].query_pairs() {
            match key.as_ref() {
                "sslmode" => env.push(("PGSSLMODE", value.into_owned())),
                "sslrootcert" => env.push(("PGSSLROOTCERT", value.into_owned())),
                _ => {}
            }
        }
        env
    }

    /// The password, for a `PGPASSFILE`.
    pub fn password(&self) -> Option<Secret> {
        self.reread();
        self.now().password
    }

    /// The database's name; libpq's default is the user's.
    pub fn database_name(&self) -> String {
        let options = self.options();
        options.get_database().unwrap_or(options.get_username()).to_owned()
    }
}

impl fmt::Display for Login {
    /// Where it leads, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.now();
        match (&self.database, now.hosts.urls.as_slice()) {
            (Some(name), [only]) => {
                let mut url = only.clone();
                url.set_path(&format!("/{name}"));
                f.write_str(url.as_str())
            }
            (Some(name), _) => write!(f, "{} (database {name})", now.hosts.shown),
            (None, _) => f.write_str(&now.hosts.shown),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let login = Login::new(&Secret::new("postgres://u:s3+cr%40t@db:5433/d"), None).expect("a login");
        assert_eq!(login.password().as_ref().map(Secret::reveal), Some("s3+cr@t"));
        let shown = format!("{login} {login:?} {:?}", login.libpq());
        assert!(!shown.contains("cr"), "{shown}");
        assert!(shown.contains("5433"));
    }

    #[test]
    fn a_socket_folder_is_a_host() {
        let login = Login::new(&Secret::new("postgres:///d?host=/tmp/run&user=me"), None).expect("a login");
        assert!(login.libpq().contains(&("PGHOST", "/tmp/run".to_owned())), "{:?}", login.libpq());
        assert_eq!(login.database("other").database_name(), "other");
    }

    #[test]
    fn what_a_file_says_is_used_from_then_on_and_what_is_broken_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (url, password) = (folder.path().join("url"), folder.path().join("password"));
        let kept = |path: &std::path::Path, text: &str| {
            std::fs::write(path, text).expect("written");
            Kept { secret: Secret::new(text), file: Some(path.to_owned()) }
        };
        let login = Login::kept(kept(&url, "postgres://u:x@a/d"), Some(kept(&password, "one"))).expect("a login");
        assert_eq!(login.version(), 0);
        std::fs::write(&password, "two\n").expect("written");
        assert_eq!(login.password().as_ref().map(Secret::reveal), Some("two"));
        std::fs::write(&password, "\n").expect("written");
        std::fs::write(&url, "not a URL").expect("written");
        assert_eq!(login.password().as_ref().map(Secret::reveal), Some("two"));
        assert_eq!(login.options().get_host(), "a");
        std::fs::write(&url, "postgres://v@b,c/d").expect("written");
        assert_eq!((login.options().get_host(), login.options().get_username()), ("b", "v"));
        assert_eq!(login.version(), 2);
    }

    #[test]
    fn the_password_of_a_url_in_a_file_rotates_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("url");
        std::fs::write(&path, "postgres://u:one@a/d").expect("written");
        let url = Kept { secret: Secret::new("postgres://u:one@a/d"), file: Some(path.clone()) };
        let login = Login::kept(url, None).expect("a login");
        std::fs::write(&path, "postgres://u:two@a/d").expect("written");
        assert_eq!(login.password().as_ref().map(Secret::reveal), Some("two"));
    }
}
