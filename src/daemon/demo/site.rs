//! The demo's files: the shipped jobs, a few of its own, and settings that point at the private cluster and the inbox.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::{COLLECTOR, QUEUE};
use crate::{cli::AskError, daemon::inbox::Inbox, embedded::Cluster, secret::Secret};

/// The jobs that Sexton ships, as a person finds them in the repository.
const SHIPPED: [(&str, &str); 13] = [
    ("jobs/backup-collector.toml", include_str!("../../../jobs/backup-collector.toml")),
    ("jobs/archive-exceptions.toml", include_str!("../../../jobs/archive-exceptions.toml")),
    ("jobs/cleanup-resolved.toml", include_str!("../../../jobs/cleanup-resolved.toml")),
    ("jobs/cleanup-old.toml", include_str!("../../../jobs/cleanup-old.toml")),
    ("jobs/validate-full.toml", include_str!("../../../jobs/validate-full.toml")),
    ("jobs/migrate-legacy.toml", include_str!("../../../jobs/migrate-legacy.toml")),
    ("jobs/restore-exceptions.toml", include_str!("../../../jobs/restore-exceptions.toml")),
    ("jobs/validate-specific.toml", include_str!("../../../jobs/validate-specific.toml")),
    ("jobs/validate-referential-integrity.toml", include_str!("../../../jobs/validate-referential-integrity.toml")),
    ("jobs/validate-archive-consistency.toml", include_str!("../../../jobs/validate-archive-consistency.toml")),
    ("jobs/validate-business-rules.toml", include_str!("../../../jobs/validate-business-rules.toml")),
    ("jobs/analyze.toml", include_str!("../../../jobs/analyze.toml")),
    ("jobs/datasets/interface_exceptions.toml", include_str!("../../../jobs/datasets/interface_exceptions.toml")),
];

const COUNT: &str = r#"about = "Count the exceptions"

[sql]
target    = "collector"
read_only = true
sql       = "select count(*) as exceptions from public.interface_exceptions"
"#;

const HELLO: &str = r#"about   = "Any program can be a job"
timeout = "10s"

[exec]
argv = ["uname", "-sr"]
"#;

/// The inbox's path for webhook messages.
const ALERTS: &str = "/alerts";

/// Where the demo lives.
pub(super) struct Site {
    /// The folder of the files.
    pub(super) folder: PathBuf,
    /// `sexton.toml`.
    pub(super) settings: PathBuf,
    /// The vault.
    pub(super) vault: PathBuf,
    /// What people were told, a file a message.
    pub(super) messages: PathBuf,
    /// The API's token.
    pub(super) token: PathBuf,
}

impl Site {
    /// Writes all files anew under `state/site`, which belongs to the demo alone.
    pub(super) fn write(state: &Path, cluster: &Cluster, inbox: &Inbox, port: u16) -> io::Result<Self> {
        let folder = state.join("site");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let site = Self {
            settings: folder.join("sexton.toml"),
            vault: folder.join("vault"),
            messages: folder.join("inbox"),
            token: folder.join("api-token"),
            folder,
        };
        for inner in ["jobs/datasets", "schedules", "vault", "inbox"] {
            fs::create_dir_all(site.folder.join(inner))?;
        }
        for (path, text) in SHIPPED {
            fs::write(site.folder.join(path), text)?;
        }
        fs::write(site.folder.join("jobs/count-exceptions.toml"), COUNT)?;
        fs::write(site.folder.join("jobs/hello.toml"), HELLO)?;
        fs::write(site.folder.join("jobs/check-partner.toml"), partner(inbox))?;
        site.secret(&site.token, &uuid::Uuid::new_v4().simple().to_string())?;
        fs::write(&site.settings, site.settings_text(cluster, inbox, port))?;
        Ok(site)
    }

    fn secret(&self, path: &Path, text: &str) -> io::Result<()> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(path)?
            .write_all(text.as_bytes())
    }

    fn settings_text(&self, cluster: &Cluster, inbox: &Inbox, port: u16) -> String {
        let (queue, collector) = (cluster.url(QUEUE), cluster.url(COLLECTOR));
        let (vault, token) = (self.vault.display(), self.token.display());
        let pg_bin = cluster.binaries().dir.display();
        let (smtp, hook) = (inbox.smtp_url(), inbox.http_url(ALERTS));
        format!(
            r#"# Written by `sexton demo`; every start of it writes this folder anew.
[database]
url = "{queue}"

[targets.collector]
url    = "{collector}"
pg_bin = "{pg_bin}"
sources = ["public.legacy_*"]

[vaults.main]
dir = "{vault}"

[channels.oncall]
email = {{ smtp = "{smtp}", from = "sexton@demo.example", to = ["oncall@demo.example"] }}

[channels.hook]
webhook = {{ url = "{hook}" }}

[alerts]
default = ["oncall", "hook"]

[http]
listen     = "127.0.0.1:{port}"
token_file = "{token}"

[log]
level = "warn"
"#
        )
    }

    /// Makes `text` the only schedules.
    pub(super) fn schedules(&self, text: &str) -> io::Result<()> {
        // Written beside and renamed, as a careful editor does it: nobody ever reads half of it.
        let (fresh, path) = (self.folder.join("fresh.toml"), self.folder.join("schedules/demo.toml"));
        fs::write(&fresh, text)?;
        fs::rename(fresh, path)
    }

    /// Writes down what the inbox has received: the mails as text, the webhook messages as JSON.
    pub(super) fn keep_messages(&self, inbox: &Inbox) -> io::Result<()> {
        for (n, mail) in inbox.mails().iter().enumerate() {
            let (to, subject) = (mail.to.join(", "), &mail.subject);
            let text = format!("From: {}\nTo: {to}\nSubject: {subject}\n\n{}", mail.from, mail.body);
            fs::write(self.messages.join(format!("mail-{}.txt", n + 1)), text)?;
        }
        let told = inbox.posts().into_iter().filter(|post| post.path == ALERTS);
        for (n, post) in told.enumerate() {
            fs::write(self.messages.join(format!("webhook-{}.json", n + 1)), post.body)?;
        }
        Ok(())
    }

    /// Connections to the database that is looked after.
    pub(super) fn collector(&self, cluster: &Cluster) -> Result<PgPool, AskError> {
        let login = crate::db::Login::new(&Secret::new(cluster.url(COLLECTOR)), None)?;
        Ok(crate::db::Target::new("collector", login, None).pool().clone())
    }

    /// Drops one of the demo's own databases, whoever is still connected.
    pub(super) async fn drop_database(&self, cluster: &Cluster, name: &str) -> Result<(), AskError> {
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await?;
        let statement = format!("drop database if exists \"{name}\" with (force)");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

/// A job that asks a partner whether it is there; the inbox plays the partner, and is not there at first.
fn partner(inbox: &Inbox) -> String {
    format!(
        r#"about = "Ask a partner's service whether it is there"
retry = {{ attempts = 1 }}

[http]
method = "GET"
url    = "{}"
"#,
        inbox.http_url("/partner")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Files};

    #[test]
    fn the_demos_own_files_are_good() {
        let own = [
            ("jobs/count-exceptions.toml", COUNT),
            ("jobs/hello.toml", HELLO),
            ("jobs/check-partner.toml", "[http]\nmethod = \"GET\"\nurl = \"http://127.0.0.1:9/partner\"\n"),
            ("schedules/demo.toml", super::super::tour::LIVE),
        ];
        let files = SHIPPED.iter().chain(&own).map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let parsed = Catalog::parse(&Files(files.collect()));
        let errors: Vec<_> = parsed.problems.iter().filter(|problem| problem.is_error()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}
