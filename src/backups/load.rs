//! Reads a backup back and restores it into a database that exists, with `pg_restore`.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::{
    dump::GRACE,
    manifest::{Manifest, Mode, Part, Role},
    pipe::{Bad, Unpacking},
    program::{Access, Said, bare, named},
    scratch::{Scratch, free},
    seal::Identities,
    toc::Toc,
    tools::Tools,
    work::{Ended, Work},
};
use crate::{
    child::Child,
    outcome::{Again, Failure},
    vault::Vault,
};

/// How long `pg_restore` may take to end after its last byte: indexes are built before.
const QUIET: Duration = Duration::from_secs(30);

/// How long `pg_restore --list` may take.
const LISTING: Duration = Duration::from_secs(120);

/// What is restored, from where, and with which programs.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) vault: &'a Vault,
    pub(super) manifest: &'a Manifest,
    pub(super) identities: &'a Identities,
    pub(super) access: &'a Access,
    pub(super) tools: &'a Tools,
    /// Flags of `pg_restore` beside those for its input and its database.
    pub(super) flags: &'a [String],
    /// Entries of the table of contents that are restored; all without it.
    pub(super) entries: Option<&'a [String]>,
    /// Connections; more than one needs scratch for the whole dump.
    pub(super) jobs: u32,
    /// Where scratch folders are made.
    pub(super) scratch: &'a Path,
}

/// What a restore took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loaded {
    /// Until the last statement, indexes included.
    pub(super) seconds: f64,
}

/// Why a restore did not come to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// The vault could not be reached now.
    Passing(Failure),
    /// What is stored is not what was stored.
    Stored(Failure),
    /// It was read whole, and `pg_restore` refused it.
    Restore(Failure),
    /// This machine cannot: no room, no program.
    Unable(Failure),
    /// It was told to stop.
    Stopped,
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Passing(failure) | Broken::Stored(failure) | Broken::Restore(failure) | Broken::Unable(failure) => {
                Self::Failed(failure)
            }
            Broken::Stopped => Self::Stopped,
        }
    }
}

impl From<Bad> for Broken {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::Passing(failure) => Self::Passing(failure),
            Bad::Stored(failure) => Self::Stored(failure),
            Bad::Closed(failure) => Self::Unable(failure),
        }
    }
}

/// A vault that refuses: an object that is gone is not what was stored.
pub(super) fn unread(failure: Failure) -> Broken {
    if failure.again == Again::Later { Broken::Passing(failure) } else { Broken::Stored(failure) }
}

/// The dump's table of contents, a line an entry.
pub(super) async fn entries(work: &Work<'_>, load: &Load<'_>) -> Result<Vec<String>, Broken> {
    if load.manifest.mode == Mode::Parallel {
        let folder = contents(work, load).await?;
        let mut list = bare(&load.tools.pg_restore);
        list.args(["--list", "--format=directory"]).arg(folder.path());
        let listed = work.spawner.capture(list, LISTING).await;
        let listed = listed.map_err(|error| Broken::Unable(Failure::later(format!("pg_restore --list: {error}"))))?;
        let is_entry = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
        return Ok(listed.stdout.lines().filter(is_entry).map(str::to_owned).collect());
    }
    let mut toc = Toc::start(load.tools, work.spawner).await.map_err(Broken::Unable)?;
    let wanted = dump(load.manifest).map_err(Broken::Stored)?;
    let mut unpacking = Unpacking::start(load.vault, wanted, load.identities).await.map_err(unread)?;
    while toc.is_reading()
        && let Some(bytes) = unpacking.next().await
    {
        toc.feed(&bytes).await;
    }
    unpacking.give_up();
    toc.lines().await.map_err(Broken::Restore)
}

/// A parallel dump's table of contents, in a folder of its own: `toc.dat` alone is no archive for a pipe.
pub(super) async fn contents(work: &Work<'_>, load: &Load<'_>) -> Result<Scratch, Broken> {
    let named = Role::File("toc.dat".to_owned());
    let part = load.manifest.parts.iter().find(|part| part.role == named);
    let part = part.ok_or_else(|| Broken::Stored(Failure::never("the backup has no table of contents")))?;
    let near = |error: std::io::Error| Broken::Unable(Failure::later(format!("no scratch folder: {error}")));
    let scratch = Scratch::new(load.scratch, "toc", 0o700).map_err(near)?;
    let unpacking = Unpacking::start(load.vault, part, load.identities).await.map_err(unread)?;
    write(work, unpacking, &scratch.path().join("toc.dat"), &|_| {}).await?;
    Ok(scratch)
}

pub(super) fn dump(manifest: &Manifest) -> Result<&Part, Failure> {
    let found = manifest.parts.iter().find(|part| part.role == Role::Dump);
    found.ok_or_else(|| Failure::never("the backup's manifest names no dump"))
}

/// Restores; every stored byte of the dump is read and checked, whatever `pg_restore` needs of it.
pub(super) async fn load(work: &Work<'_>, load: &Load<'_>) -> Result<Loaded, Broken> {
    let begun = Instant::now();
    let list = list(load)?;
    let total = load.manifest.bytes();
    let seen = |bytes: u64| (work.tell)(bytes, Some(total.max(bytes)), "bytes", Some("restoring"));
    if load.manifest.mode == Mode::Single && load.jobs <= 1 {
        let part = dump(load.manifest).map_err(Broken::Stored)?;
        let mut unpacking = Unpacking::start(load.vault, part, load.identities).await.map_err(unread)?;
        let mut command = command(load, list.as_ref());
        command.stdin(Stdio::piped());
        let (mut child, said) = spawn(work, load, command).await?;
        let Some(mut stdin) = child.stdin.take() else { return Err(Broken::Restore(Failure::later("no pipe"))) };
        let feeding = async {
            while let Some(bytes) = unpacking.next().await {
                seen(unpacking.stored());
                // It may have all that it needs before the end, or it has failed: its status tells.
                if stdin.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = feeding => {}
            () = work.stop.cancelled() => {
                let _ = child.end(GRACE).await;
                return Err(Broken::Stopped);
            }
        }
        drop(stdin);
        // Its indexes are built while the rest of the object is looked at.
        let (ended, checked) = tokio::join!(end(work, child, said), unpacking.finish());
        checked?;
        ended?;
        return Ok(Loaded { seconds: begun.elapsed().as_secs_f64() });
    }
    let scratch = room(load)?;
    let archive = scratch.path().join("dump");
    fetch(work, load, &archive, &seen).await?;
    let mut command = command(load, list.as_ref());
    command.arg(format!("--jobs={}", load.jobs.max(1))).arg(&archive);
    let (child, said) = spawn(work, load, command).await?;
    end(work, child, said).await?;
    Ok(Loaded { seconds: begun.elapsed().as_secs_f64() })
}

/// Only reads everything and says whether it is what was stored; nothing needs to open it.
pub(super) async fn read_back(work: &Work<'_>, wanted: &super::prove::Wanted<'_>) -> Result<(), Broken> {
    for part in &wanted.manifest.parts {
        let unpacking = Unpacking::start(wanted.vault, part, wanted.identities).await.map_err(unread)?;
        let read = tokio::select! {
            read = unpacking.finish() => read,
            () = work.stop.cancelled() => return Err(Broken::Stopped),
        };
        match read {
            Ok(_) | Err(Bad::Closed(_)) => {}
            Err(bad) => return Err(bad.into()),
        }
    }
    Ok(())
}

/// One small object whole, checked.
pub(super) async fn text(vault: &Vault, part: &Part, identities: &Identities) -> Result<String, Broken> {
    let mut unpacking = Unpacking::start(vault, part, identities).await.map_err(unread)?;
    let mut bytes = Vec::new();
    while let Some(more) = unpacking.next().await {
        bytes.extend(more);
    }
    unpacking.finish().await?;
    String::from_utf8(bytes).map_err(|_| Broken::Stored(Failure::never(format!("{} is no text", part.key))))
}

fn command(load: &Load<'_>, list: Option<&(Scratch, std::path::PathBuf)>) -> Command {
    let mut command = load.access.command(&load.tools.pg_restore);
    // A bare name could be taken for a connection string.
    let database = load.access.database().replace('\\', "\\\\").replace('\'', "\\'");
    command
        .args(["--exit-on-error", "--no-password", "--verbose"])
        .arg(format!("--dbname=dbname='{database}'"))
        .args(load.flags)
        .args(list.map(|(_, path)| format!("--use-list={}", path.display())));
    command
}

pub(super) fn list(load: &Load<'_>) -> Result<Option<(Scratch, std::path::PathBuf)>, Broken> {
    let Some(entries) = load.entries else { return Ok(None) };
    let write = || {
        let scratch = Scratch::new(load.scratch, "list", 0o700)?;
        let path = scratch.path().join("entries");
        std::fs::write(&path, entries.join("\n") + "\n")?;
        Ok((scratch, path))
    };
    let near = |error: std::io::Error| Failure::later(format!("the list for pg_restore cannot be written: {error}"));
    write().map(Some).map_err(|error| Broken::Unable(near(error)))
}

async fn spawn(work: &Work<'_>, load: &Load<'_>, command: Command) -> Result<(Child, (Said, Listener)), Broken> {
    let program = load.tools.pg_restore.display();
    let mut child = work
        .spawner
        .spawn(command)
        .await
        .map_err(|error| Broken::Unable(Failure::later(format!("{program} could not be started: {error}"))))?;
    let said = Said::default();
    let listener = said.listen(child.stderr.take());
    // It prints nothing there; but a full pipe would stop it.
    if let Some(mut out) = child.stdout.take() {
        tokio::spawn(async move { tokio::io::copy(&mut out, &mut tokio::io::sink()).await });
    }
    Ok((child, (said, listener)))
}

type Listener = Option<tokio_util::task::AbortOnDropHandle<()>>;

async fn end(work: &Work<'_>, mut child: Child, (said, listener): (Said, Listener)) -> Result<(), Broken> {
    let mut told = tokio::time::interval(Duration::from_secs(1));
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = work.stop.cancelled() => {
                let _ = child.end(GRACE).await;
                return Err(Broken::Stopped);
            }
            _ = told.tick() => {
                if let Some(at) = said.at() {
                    (work.tell)(0, None, "bytes", Some(&at));
                }
            }
        }
    };
    if let Some(listener) = listener {
        let _ = timeout(QUIET, listener).await;
    }
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let mut failure = named(Failure::never(format!("pg_restore ended with {status}: {}", said.words())));
            failure.again = Again::Never;
            Err(Broken::Restore(failure))
        }
        Err(error) => Err(Broken::Restore(Failure::later(format!("pg_restore cannot be waited for: {error}")))),
    }
}

/// A scratch folder with room for the whole dump.
pub(super) fn room(load: &Load<'_>) -> Result<Scratch, Broken> {
    let at = load.scratch.display();
    let near = |error: std::io::Error| Broken::Unable(Failure::later(format!("the scratch folder {at}: {error}")));
    let (room, needed) = (free(load.scratch).map_err(near)?, load.manifest.dump_bytes());
    if room < needed {
        let why = format!("the dump takes {needed} bytes of scratch, and {at} has room for {room}");
        return Err(Broken::Unable(Failure::never(why).help("make room, or name another scratch folder")));
    }
    Scratch::new(load.scratch, "load", 0o700).map_err(near)
}

/// Unpacks a dump to where `pg_restore` can seek in it.
pub(super) async fn fetch(work: &Work<'_>, load: &Load<'_>, into: &Path, seen: &impl Fn(u64)) -> Result<(), Broken> {
    if load.manifest.mode == Mode::Parallel {
        let near = |error| Broken::Unable(Failure::later(format!("{} cannot be made: {error}", into.display())));
        std::fs::create_dir(into).map_err(near)?;
    }
    let mut done = 0;
    for part in &load.manifest.parts {
        let path = match &part.role {
            Role::Dump => into.to_owned(),
            // A name from a manifest leads nowhere else.
            Role::File(name) if !name.contains('/') && name != ".." => into.join(name),
            Role::File(_) | Role::Globals => continue,
        };
        let unpacking = Unpacking::start(load.vault, part, load.identities).await.map_err(unread)?;
        write(work, unpacking, &path, &|bytes| seen(done + bytes)).await?;
        done += part.bytes;
    }
    Ok(())
}

async fn write(work: &Work<'_>, mut unpacking: Unpacking, path: &Path, seen: &impl Fn(u64)) -> Result<(), Broken> {
    let near = |error| Broken::Unable(Failure::later(format!("{} cannot be written: {error}", path.display())));
    let mut file = tokio::fs::File::create(path).await.map_err(near)?;
    while let Some(bytes) = unpacking.next().await {
        if work.stop.is_cancelled() {
            return Err(Broken::Stopped);
        }
        file.write_all(&bytes).await.map_err(near)?;
        seen(unpacking.stored());
    }
    file.flush().await.map_err(near)?;
    unpacking.finish().await?;
    Ok(())
}
