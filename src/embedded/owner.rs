//! Which operating-system user runs the server: oneself, or as root somebody else, because PostgreSQL refuses root.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::EmbeddedError;

/// Users that may run the server for root, the first that exists.
const CANDIDATES: [&str; 3] = ["postgres", "sexton", "nobody"];

/// The user that the server runs as, and the one that Sexton runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// Whom to become before the server starts; none where the server runs as Sexton itself does.
    dropped: Option<Account>,
    me: Account,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Looks at who we are.
    pub(super) fn of_this_process() -> Result<Self, EmbeddedError> {
        let uid = rustix::process::geteuid().as_raw();
        Self::decide(uid, &fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    fn decide(uid: u32, passwd: &str) -> Result<Self, EmbeddedError> {
        let accounts = || passwd.lines().filter_map(account);
        let me = accounts().find(|account| account.uid == uid);
        // A user of a directory service is not in the file; its shell says its name.
        let me = me
            .or_else(|| {
                Some(Account { name: std::env::var("USER").ok().filter(|name| !name.is_empty())?, uid, gid: 0 })
            })
            .ok_or(EmbeddedError::Nameless(uid))?;
        if uid != 0 {
            return Ok(Self { dropped: None, me });
        }
        let dropped = CANDIDATES.iter().find_map(|name| accounts().find(|account| account.name == *name));
        Ok(Self { dropped: Some(dropped.ok_or(EmbeddedError::NoUser)?), me })
    }

    /// The names of the operating-system users that may connect: the server's and our own.
    pub(super) fn names(&self) -> Vec<&str> {
        let dropped = self.dropped.as_ref().map(|account| account.name.as_str());
        dropped.into_iter().chain([self.me.name.as_str()]).collect()
    }

    /// Makes `command` run as the server's user.
    pub(super) fn apply(&self, command: &mut Command) {
        if let Some(account) = &self.dropped {
            command.uid(account.uid).gid(account.gid);
        }
    }

    /// Gives a folder to the server's user.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        match &self.dropped {
            Some(account) => chown(path, Some(account.uid), Some(account.gid))
                .map_err(EmbeddedError::file("cannot give to the server's user:", path)),
            None => Ok(()),
        }
    }

    /// Whether the server's user may enter every folder on the way to `path`; the first closed one if not.
    pub(super) fn may_enter(&self, path: &Path) -> Result<(), EmbeddedError> {
        let Some(account) = &self.dropped else { return Ok(()) };
        match closed_to(account, path) {
            Some(folder) => Err(EmbeddedError::Unreachable { folder, user: account.name.clone() }),
            None => Ok(()),
        }
    }
}

fn closed_to(account: &Account, path: &Path) -> Option<PathBuf> {
    let way = path.ancestors().collect::<Vec<_>>();
    way.into_iter().rev().find_map(|folder| {
        let meta = fs::metadata(folder).ok()?;
        let bit = match () {
            () if meta.uid() == account.uid => 0o100,
            () if meta.gid() == account.gid => 0o010,
            () => 0o001,
        };
        (meta.is_dir() && meta.mode() & bit == 0).then(|| folder.to_owned())
    })
}

/// A line of `/etc/passwd`: name:password:uid:gid:…
fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    Some(Account { name, uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\n";

    #[test]
    fn root_becomes_somebody_else_and_a_user_stays() {
        let root = Owner::decide(0, PASSWD).expect("an owner");
        assert_eq!(root.names(), ["nobody", "root"]);
        let with_postgres = format!("{PASSWD}postgres:x:101:104::/:/bin/sh\n");
        assert_eq!(Owner::decide(0, &with_postgres).expect("an owner").names(), ["postgres", "root"]);
        let ann = Owner::decide(1000, PASSWD).expect("an owner");
        assert_eq!(ann.names(), ["ann"]);
        assert_eq!(ann.dropped, None);
        assert!(matches!(Owner::decide(0, "root:x:0:0::/root:/bin/sh\n"), Err(EmbeddedError::NoUser)));
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let top = tempfile::tempdir().expect("a folder");
        let inner = top.path().join("closed/inner");
        fs::create_dir_all(&inner).expect("folders");
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let stranger = Account { name: "x".to_owned(), uid: 54_321, gid: 54_321 };
        assert_eq!(closed_to(&stranger, &inner), None);
        fs::set_permissions(top.path().join("closed"), fs::Permissions::from_mode(0o700)).expect("chmod");
        assert_eq!(closed_to(&stranger, &inner), Some(top.path().join("closed")));
    }
}
