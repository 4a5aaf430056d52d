//! Which vault a command is about: one of the settings, or one that is named where it stands.

use std::{path::PathBuf, sync::Arc};

use url::Url;

use super::{
    super::{AskError, Cli, load, vaults},
    told,
};
use crate::backups::shelf::{self, Entry};
use crate::vault::{Options, S3Options, Vault};

/// Where the backups are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Place {
    /// The vault, by its name in sexton.toml [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub vault: Option<String>,
    /// A vault that no settings know: dir:/path, or s3://bucket/prefix?region=…&endpoint=… with the AWS SDK's credentials
    #[arg(long, value_name = "WHERE", conflicts_with = "vault", value_parser = options)]
    pub from: Option<Options>,
}

impl Place {
    /// The vault.
    ///
    /// # Errors
    /// When the settings cannot be read, do not have it, or have several and none is named.
    pub(super) fn open(&self, cli: &Cli) -> Result<Arc<Vault>, AskError> {
        if let Some(options) = &self.from {
            return Ok(Arc::new(Vault::new("from", options.clone())));
        }
        let vaults = vaults(&load(cli.config.as_deref())?);
        if let Some(name) = &self.vault {
            return vaults.get(name).map(Arc::clone).map_err(|unknown| AskError::Said(unknown.to_string()));
        }
        let mut all = vaults.iter();
        match (all.next(), all.next()) {
            (Some(only), None) => Ok(Arc::clone(only)),
            (None, _) => Err(AskError::Said("the settings have no vault; add [vaults.main] with `dir` or `s3`".into())),
            (Some(_), Some(_)) => {
                let names: Vec<_> = vaults.iter().map(|vault| vault.name()).collect();
                Err(AskError::Said(format!("say which vault with --vault; the settings have: {}", names.join(", "))))
            }
        }
    }
}

/// Which backup a command is about.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// The backup: its name, the beginning of it, or `latest`
    #[arg(value_name = "BACKUP")]
    pub backup: String,
    /// Of which name `latest` is meant
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    /// Where it is.
    pub place: Place,
}

impl Which {
    /// The backup and its vault.
    ///
    /// # Errors
    /// When the vault cannot be read, or none or several are meant.
    pub(super) async fn find(&self, cli: &Cli) -> Result<(Arc<Vault>, Entry), AskError> {
        let vault = self.place.open(cli)?;
        let entries = shelf::shelf(&vault, self.name.as_deref()).await.map_err(told)?;
        let entry = shelf::pick(entries, &self.backup).map_err(told)?;
        Ok((vault, entry))
    }
}

/// Reads `--from`.
fn options(text: &str) -> Result<Options, String> {
    if let Some(path) = text.strip_prefix("dir:") {
        return Ok(Options::Dir(PathBuf::from(path)));
    }
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "s3");
    let url = url.ok_or("write dir:/path, or s3://bucket/prefix?region=…&endpoint=…")?;
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or("names no bucket")?.to_owned();
    let mut options = S3Options { bucket, prefix: url.path().trim_matches('/').to_owned(), ..S3Options::default() };
    let mut path_style = None;
    for (key, value) in url.query_pairs() {
        match &*key {
            "region" => options.region = Some(value.into_owned()),
            "endpoint" => options.endpoint = Some(value.into_owned()),
            "path_style" => path_style = Some(value == "true"),
            other => return Err(format!("`{other}` is none of region, endpoint, path_style")),
        }
    }
    // Servers that stand on their own seldom have a host name for each bucket.
    options.path_style = path_style.unwrap_or(options.endpoint.is_some());
    Ok(Options::S3(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_can_be_named_where_it_stands() {
        let read = |text: &str| options(text).map(|options| format!("{options:?}"));
        assert_eq!(read("dir:/srv/vault"), Ok("Dir(\"/srv/vault\")".to_owned()));
        let Ok(Options::S3(s3)) = options("s3://bucket/a/b/?region=eu-west-1&endpoint=http://127.0.0.1:9000") else {
            panic!("no bucket")
        };
        assert_eq!((s3.bucket.as_str(), s3.prefix.as_str(), s3.path_style), ("bucket", "a/b", true));
        assert_eq!((s3.region.as_deref(), s3.endpoint.as_deref()), (Some("eu-west-1"), Some("http://127.0.0.1:9000")));
        for text in ["/srv/vault", "s3://", "s3://b?secret=x", "http://b/p"] {
            assert!(options(text).is_err(), "{text}");
        }
    }
}
