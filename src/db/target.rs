//! Named databases that jobs work on, and how to log in to one.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use sqlx::{PgPool, postgres::PgConnectOptions};
use url::Url;

use super::Sources;
use crate::secret::Secret;

/// How to reach a database: a `postgres://` URL, with its password kept apart so that it can be given to child
/// processes in a file and never on a command line.
#[derive(Clone)]
pub struct Login {
    url: Url,
    password: Option<Secret>,
}

/// Why a login cannot be used. Never shows the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The text is no URL.
    #[error(
        "the database URL cannot be read: {0}; write postgres://USER@HOST:PORT/DATABASE (socket folder: postgres:///DATABASE?host=/run/postgresql&user=USER)"
    )]
    Url(#[from] url::ParseError),
    /// Another scheme.
    #[error("the database URL starts with `{0}:`; write postgres://USER@HOST:PORT/DATABASE")]
    Scheme(String),
    /// A URL that sqlx refuses.
    #[error("the database URL cannot be used: {0}")]
    Options(String),
}

impl Login {
    /// Reads a URL. `password` (from a file, say) wins over one in the URL.
    pub fn new(url: &Secret, password: Option<Secret>) -> Result<Self, LoginError> {
        let mut url = Url::parse(url.reveal())?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(LoginError::Scheme(url.scheme().to_owned()));
        }
        let inline = url.password().map(decode);
        // A URL without a host refuses to have its password set; it has none then.
        let _ = url.set_password(None);
        url.as_str().parse::<PgConnectOptions>().map_err(|error| LoginError::Options(error.to_string()))?;
        Ok(Self { url, password: password.or(inline.map(Secret::new)) })
    }

    /// For sqlx.
    pub fn options(&self) -> PgConnectOptions {
        let options: PgConnectOptions = self.url.as_str().parse().unwrap_or_default();
        let options = match &self.password {
            Some(password) => options.password(password.reveal()),
            None => options,
        };
        options.application_name("sexton").statement_cache_capacity(200)
    }

    /// The same server and user, another database.
    #[must_use]
    pub fn database(&self, name: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(&format!("/{name}"));
        Self { url, password: self.password.clone() }
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
        for (key, value) in self.url.query_pairs() {
            match key.as_ref() {
                "sslmode" => env.push(("PGSSLMODE", value.into_owned())),
                "sslrootcert" => env.push(("PGSSLROOTCERT", value.into_owned())),
                _ => {}
            }
        }
        env
    }

    /// The password, for a `PGPASSFILE`.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The database's name; libpq's default is the user's.
    pub fn database_name(&self) -> String {
        let options = self.options();
        options.get_database().unwrap_or(options.get_username()).to_owned()
    }
}

/// Percent-decodes a part of a URL.
fn decode(part: &str) -> String {
    // A query string decodes the same way, but for `+`, which a password means literally.
    url::form_urlencoded::parse(format!("p={}", part.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

impl fmt::Display for Login {
    /// Where it leads, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({self})")
    }
}

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
    pool: PgPool,
}

impl Target {
    /// A target whose pool connects when first used.
    pub fn new(name: impl Into<String>, login: Login, pg_bin: Option<PathBuf>) -> Self {
        // Whatever the database's defaults are (the collector's has a statement timeout of 30 s), Sexton's
        // steps set their own with SET LOCAL.
        let pool = super::lazy_pool(
            login.options(),
            8,
            "set statement_timeout = 0; set idle_in_transaction_session_timeout = '10min'",
        );
        Self { name: name.into(), login, pg_bin, sources: Sources::default(), pool }
    }

    /// The same target, where migrations may read these tables.
    #[must_use]
    pub fn with_sources(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// Connections to it.
    pub fn pool(&self) -> &PgPool {
        &self.pool
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let login = Login::new(&Secret::new("postgres://u:s3+cr%40t@db:5433/d"), None).expect("a login");
        assert_eq!(login.password().map(Secret::reveal), Some("s3+cr@t"));
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
}
