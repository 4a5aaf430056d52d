//! The definitions in a dump, as SQL: from the head of its stream, without reading its rows.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::script::Script;
use crate::{
    backups::{
        load::{self, Broken, Load},
        manifest::Mode,
        pipe::Unpacking,
        program::{Said, bare},
    },
    outcome::Failure,
};

/// How long it may take; what is read is a few kilobytes a table.
const LIMIT: Duration = Duration::from_secs(300);
/// More definitions than anybody has.
const LARGEST: u64 = 1 << 30;

/// What the dump defines.
pub(super) async fn read(work: &crate::backups::work::Work<'_>, load: &Load<'_>) -> Result<Script, Broken> {
    let mut command = bare(&load.tools.pg_restore);
    command.args(["--schema-only", "--file=-"]);
    let (folder, mut unpacking) = match load.manifest.mode {
        Mode::Parallel => (Some(load::contents(work, load).await?), None),
        Mode::Single => {
            let part = load::dump(load.manifest).map_err(Broken::Stored)?;
            (None, Some(Unpacking::start(load.vault, part, load.identities).await.map_err(load::unread)?))
        }
    };
    match &folder {
        Some(folder) => command.arg("--format=directory").arg(folder.path()),
        None => command.stdin(Stdio::piped()),
    };
    let program = load.tools.pg_restore.display();
    let failed = |why: String| Broken::Restore(Failure::never(format!("the dump's definitions cannot be read: {why}")));
    let mut child = (work.spawner.spawn(command).await)
        .map_err(|error| Broken::Unable(Failure::later(format!("{program} could not be started: {error}"))))?;
    let said = Said::default();
    let listener = said.listen(child.stderr.take());
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let feeding = async {
        if let (Some(mut stdin), Some(unpacking)) = (stdin, &mut unpacking) {
            while let Some(bytes) = unpacking.next().await {
                // It ends as soon as it has printed the last definition.
                if stdin.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        }
    };
    let mut text = Vec::new();
    let reading = async {
        match stdout {
            Some(pipe) => pipe.take(LARGEST).read_to_end(&mut text).await.map(drop),
            None => Ok(()),
        }
    };
    let ended = async {
        let ((), read) = tokio::join!(feeding, reading);
        read?;
        child.wait().await
    };
    let status = tokio::select! {
        ended = timeout(LIMIT, ended) => match ended {
            Ok(status) => status.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed(format!("pg_restore did not end within {} s", LIMIT.as_secs()))),
        },
        () = work.stop.cancelled() => return Err(Broken::Stopped),
    };
    if let Some(listener) = listener {
        let _ = timeout(Duration::from_secs(5), listener).await;
    }
    if !status.success() {
        // A damaged object makes pg_restore fail, too; which it is, only its end tells.
        if let Some(unpacking) = unpacking {
            unpacking.finish().await?;
        }
        return Err(failed(format!("pg_restore ended with {status}: {}", said.words())));
    }
    if let Some(unpacking) = unpacking {
        unpacking.give_up();
    }
    Ok(Script::read(&String::from_utf8_lossy(&text)))
}
