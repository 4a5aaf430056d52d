//! Secrets in the settings: inline, in files, in the credentials folder.

use std::path::Path;

use super::{Reader, Table};
use crate::secret::{Kept, Secret};

/// Whether secrets are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::settings) enum Secrets {
    Open,
    Closed,
}

impl Reader<'_> {
    /// A secret: inline, in the file that `file_key` names, or in the credentials folder.
    pub(in crate::settings) fn secret(
        &mut self,
        table: &mut Table,
        name: &'static str,
        file_key: &'static str,
    ) -> Option<Secret> {
        self.kept(table, name, file_key).map(|kept| kept.secret)
    }

    /// The same, with the file to read it from again.
    pub(in crate::settings) fn kept(
        &mut self,
        table: &mut Table,
        name: &'static str,
        file_key: &'static str,
    ) -> Option<Kept> {
        let inline = table.has(name).then(|| self.text(table, name));
        table.known.push(name);
        let file = table.has(file_key).then(|| self.path(table, file_key));
        table.known.push(file_key);
        match (inline, file) {
            (Some(_), Some(_)) => {
                let message = format!("`{name}` and `{file_key}` are both set");
                self.problem(table, "", message, "keep one of them");
                None
            }
            (Some(inline), None) => inline.map(Secret::new).map(Kept::inline),
            (None, Some(file)) => file.and_then(|file| self.open(&file, table.key(file_key))),
            (None, None) => {
                let file = self.credentials.as_ref()?.join(table.key(name));
                if file.is_file() { self.open(&file, table.key(name)) } else { None }
            }
        }
    }

    /// A secret that must be there.
    pub(in crate::settings) fn needed_secret(
        &mut self,
        table: &mut Table,
        name: &'static str,
        file_key: &'static str,
    ) -> Secret {
        self.needed_kept(table, name, file_key).secret
    }

    /// The same, with the file to read it from again.
    pub(in crate::settings) fn needed_kept(
        &mut self,
        table: &mut Table,
        name: &'static str,
        file_key: &'static str,
    ) -> Kept {
        let before = self.problems.len();
        let secret = self.kept(table, name, file_key);
        if secret.is_none() && before == self.problems.len() {
            // Without secrets there may be no credentials folder either; the daemon's start will tell.
            if self.secrets == Secrets::Open {
                let help = format!(
                    "set `{name}`, or `{file_key}` to a file that holds it, or put it into $CREDENTIALS_DIRECTORY/{}",
                    table.key(name)
                );
                self.problem(table, "", format!("`{name}` is missing"), help);
            }
        }
        secret.unwrap_or_else(|| Kept::inline(Secret::new("")))
    }

    fn open(&mut self, file: &Path, key: String) -> Option<Kept> {
        if self.secrets == Secrets::Closed {
            return Some(Kept::inline(Secret::new("")));
        }
        let problem = match std::fs::read_to_string(file) {
            Ok(text) => match Kept::read(&text) {
                Some(secret) => return Some(Kept { secret, file: Some(file.to_owned()) }),
                None => format!("{} is empty", file.display()),
            },
            Err(error) => format!("{} cannot be read: {error}", file.display()),
        };
        let help = "write the secret into that file and let the daemon's user read it";
        self.note(key, None, problem, Some(help.into()));
        None
    }
}
