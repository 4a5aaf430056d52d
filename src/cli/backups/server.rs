//! Which server a command is about: a target of the settings, or a URL.

use std::path::PathBuf;

use crate::{
    cli::{AskError, Cli, load, targets},
    db::{Login, Target, Targets},
    secret::Secret,
};

/// Where a backup goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Server {
    /// The target, by its name in sexton.toml
    #[arg(long, value_name = "NAME", required_unless_present = "url", conflicts_with = "url")]
    pub target: Option<String>,
    /// A server, without any settings: postgres://USER@HOST:PORT/DATABASE; what is left out is taken from PGHOST,
    /// PGPORT, PGUSER and PGDATABASE, and the password from --password-file, PGPASSWORD or PGPASSFILE
    #[arg(long, value_name = "postgres://…")]
    pub url: Option<String>,
    /// A file with the password for --url
    #[arg(long, value_name = "FILE", requires = "url")]
    pub password_file: Option<PathBuf>,
}

impl Server {
    /// The server.
    ///
    /// # Errors
    /// When the settings do not have it, or the URL or the password's file cannot be read.
    pub(super) fn open(&self, cli: &Cli) -> Result<Target, AskError> {
        let Some(url) = &self.url else {
            let all = Targets::new(targets(&load(cli.config.as_deref())?)?);
            let name = self.target.as_deref().unwrap_or_default();
            return all.get(name).cloned().map_err(|unknown| AskError::Said(unknown.to_string()));
        };
        bare(url)?;
        let password = match &self.password_file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    AskError::Said(format!("the password file {} cannot be read: {error}", file.display()))
                })?;
                Some(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            None => std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()),
        };
        let login = Login::new(&Secret::new(url.clone()), password.map(Secret::new))?;
        Ok(Target::new("url", login, None))
    }
}

/// A URL without a password: everybody on the machine can see a command line. What is refused is not shown again.
fn bare(url: &str) -> Result<(), AskError> {
    let Ok(parsed) = url::Url::parse(url) else { return Ok(()) };
    if parsed.password().is_none() && parsed.query_pairs().all(|(key, _)| key != "password") {
        return Ok(());
    }
    Err(AskError::Said(
        "--url has a password in it, and everybody on this machine can see a command line\n  help: use \
         --password-file, PGPASSWORD or PGPASSFILE"
            .to_owned(),
    ))
}
