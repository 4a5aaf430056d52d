//! Where a copy is restored to be looked at: a database that is gone afterwards, whatever happens.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection};

use super::{
    manifest::{Extension, Locale, Manifest},
    scratch::Scratch,
    work::Work,
};
use crate::{
    dataset::quote::{ident, literal},
    db::{Login, Target, failure},
    embedded::{Cluster, Options},
    outcome::Failure,
    secret::Secret,
};

/// A database of a copy. Ends with [`drop_it`](Self::drop_it); a throw-away server also ends with its process.
#[derive(Debug)]
pub(super) struct Copy {
    login: Login,
    admin: Login,
    name: String,
    server: Option<(Cluster, Scratch)>,
}

impl Copy {
    /// On a server of its own, of the backup's major, that is thrown away.
    pub(super) async fn throwaway(work: &Work<'_>, base: &Path, manifest: &Manifest) -> Result<Self, Failure> {
        let near = |error: std::io::Error| {
            Failure::never(format!("no scratch folder in {}: {error}", base.display()))
                .help("name a folder that the daemon's user may write to as `scratch`")
        };
        // The server runs as another user where the daemon is root.
        let scratch = Scratch::new(base, "proof", 0o711).map_err(near)?;
        let options = Options {
            durable: false,
            fetch: false,
            max_connections: 20,
            major: manifest.major(),
            ..Options::default()
        };
        let cluster = Cluster::start(scratch.path(), &options, work.spawner)
            .await
            .map_err(|error| error.failure("no throw-away server could be started"))?;
        let url = |name: &str| Login::new(&Secret::new(cluster.url(name)), None);
        let logins = url("postgres").and_then(|admin| Ok((admin, url("copy")?)));
        let (admin, login) = logins.map_err(|error| Failure::never(error.to_string()))?;
        Ok(Self { login, admin, name: "copy".to_owned(), server: Some((cluster, scratch)) })
    }

    /// Beside other databases on a named server.
    pub(super) fn on(target: &Target, name: &str) -> Self {
        let (login, admin) = (target.login.database(name), target.login.clone());
        Self { login, admin, name: name.to_owned(), server: None }
    }

    /// How to log in to it.
    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    /// How to log in to its server, before it is there.
    pub(super) fn admin(&self) -> &Login {
        &self.admin
    }

    /// Whether its server is thrown away, and all of it is ours.
    pub(super) fn is_throwaway(&self) -> bool {
        self.server.is_some()
    }

    /// Makes the database, as the backup's was; says which extensions or locale the server lacks.
    pub(super) async fn create(&self, manifest: &Manifest) -> Result<(), Failure> {
        create(&self.admin, &self.name, &manifest.source.locale, &manifest.source.extensions).await
    }

    /// Removes it with everything in it.
    pub(super) async fn drop_it(self) {
        match self.server {
            Some((cluster, scratch)) => {
                if let Err(error) = cluster.stop().await {
                    tracing::warn!(%error, "the throw-away server did not end");
                }
                drop(scratch);
            }
            None => {
                let dropping = async {
                    let mut connection = self.admin.connect().await?;
                    let statement = format!("drop database if exists {} with (force)", ident(&self.name));
                    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
                    connection.close().await
                };
                if let Err(error) = dropping.await {
                    tracing::error!(%error, database = self.name, "the copy of a proof stays behind: drop it by hand");
                }
            }
        }
    }
}

/// Makes a database with this encoding and collation, on a server that has these extensions.
pub(super) async fn create(
    admin: &Login,
    name: &str,
    locale: &Option<Locale>,
    extensions: &[Extension],
) -> Result<(), Failure> {
    let mut connection = admin.connect().await.map_err(|error| failure(&error))?;
    let available: Vec<String> = sqlx::query_scalar(include_str!("../../sql/target/available_extensions.sql"))
        .fetch_all(&mut connection)
        .await
        .map_err(|error| failure(&error))?;
    let missing: Vec<&str> =
        extensions.iter().map(|e| e.name.as_str()).filter(|name| !available.iter().any(|a| a == name)).collect();
    if !missing.is_empty() {
        return Err(Failure::never(format!(
            "the server that should hold the copy lacks extensions: {}",
            missing.join(", ")
        ))
        .help("install their packages there (for contrib's, postgresql-contrib)"));
    }
    let mut statement = format!("create database {} template template0", ident(name));
    if let Some(locale) = locale {
        statement += &format!(
            " encoding {} lc_collate {} lc_ctype {}",
            literal(&locale.encoding),
            literal(&locale.collate),
            literal(&locale.ctype)
        );
        if let (true, Some(own)) = (locale.provider != "libc", &locale.locale) {
            let key = if locale.provider == "icu" { "icu_locale" } else { "builtin_locale" };
            statement += &format!(" locale_provider {} {key} {}", ident(&locale.provider), literal(own));
        }
    }
    let made = sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await;
    let _ = connection.close().await;
    made.map(drop).map_err(|error| {
        let refused = failure(&error);
        match (&refused.help, locale) {
            (None, Some(locale)) if refused.why.contains("locale") => {
                let help = format!("install the locale {} on that machine (Debian: locale-gen)", locale.collate);
                refused.help(help)
            }
            _ => refused,
        }
    })
}
