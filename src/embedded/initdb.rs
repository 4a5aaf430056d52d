//! Makes the cluster's files, once.

use std::{fs, os::unix::fs::DirBuilderExt, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use tokio::process::Command;

use super::{Binaries, EmbeddedError, Options, folder::Folder, owner::Owner};
use crate::child::Spawner;

/// It takes a second; a machine under load or a slow disk takes many.
const INITDB: Duration = Duration::from_secs(180);

/// The database user that owns everything, whatever the operating system calls us.
pub(super) const USER: &str = "sexton";

/// Makes `data/` if it is not there. It appears whole or not at all.
pub(super) async fn initdb(
    folder: &Folder,
    binaries: &Binaries,
    options: &Options,
    owner: &Owner,
    spawner: &Spawner,
) -> Result<(), EmbeddedError> {
    if folder.version().is_some() {
        return Ok(());
    }
    let fresh = folder.state.join("data.new");
    let _ = fs::remove_dir_all(&fresh);
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(&fresh).map_err(EmbeddedError::file("cannot make", &fresh))?;
    owner.give(&fresh)?;

    let mut command = server_command(&binaries.tool("initdb"), owner);
    command
        .arg("-D")
        .arg(&fresh)
        .args(["-U", USER, "-E", "UTF8", "--locale=C", "--auth-local=peer", "--auth-host=reject", "--no-instructions"])
        .arg(if options.durable { "--data-checksums" } else { "--no-sync" });
    let failed = |why: String| EmbeddedError::Server { what: "initdb", why, log: folder.log() };
    let captured = spawner.capture(command, INITDB).await.map_err(|error| failed(error.to_string()))?;
    if !captured.status.success() {
        // Kept where the help says to look.
        let _ = fs::write(folder.log(), format!("{}{}", captured.stdout, captured.stderr));
        return Err(failed(captured.stderr.trim().replace('\n', "; ")));
    }
    let data = folder.data();
    fs::rename(&fresh, &data).map_err(EmbeddedError::file("cannot put in place", &data))
}

/// Writes who may connect: the server's user and our own, as the database user `sexton`, over the socket.
pub(super) fn write_access(folder: &Folder, owner: &Owner) -> Result<(), EmbeddedError> {
    let map: String = owner.names().iter().map(|name| format!("sexton \"{name}\" {USER}\n")).collect();
    for (name, text) in [("pg_hba.conf", "local all all peer map=sexton\n"), ("pg_ident.conf", map.as_str())] {
        let path = folder.state.join(name);
        let open = fs::Permissions::from_mode(0o644);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, open))
            .map_err(EmbeddedError::file("cannot write", &path))?;
    }
    Ok(())
}

/// A server program as the server's user, without what our own environment says to PostgreSQL.
pub(super) fn server_command(program: &Path, owner: &Owner) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("PG") {
            command.env_remove(key);
        }
    }
    command.current_dir("/").env("LC_ALL", "C").env("TZ", "UTC");
    owner.apply(&mut command);
    command
}
