//! A dump in directory format: several connections of `pg_dump` write to a scratch folder, and each file becomes an
//! object of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::{io::AsyncReadExt, time::timeout};

use super::{
    dump::{GRACE, Order, command},
    manifest::{Part, Role},
    name::Stem,
    pipe::{CHUNK, Packer, Packing},
    program::{Said, bare, named},
    scratch::{Scratch, free},
    work::{Ended, Work},
};
use crate::{outcome::Failure, vault::Vault};

/// How often a running dump's size is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long `pg_restore --list` may take.
const LISTING: Duration = Duration::from_secs(120);

/// How many connections dump, and where to.
#[derive(Debug, Clone)]
pub struct Parallel {
    /// Connections, and uploads at a time.
    pub jobs: u32,
    /// The folder that scratch folders are made in.
    pub scratch: PathBuf,
    /// The most bytes that a scratch folder may take; what is free without it.
    pub budget: Option<u64>,
}

/// The files of a dump, in their scratch folder.
#[derive(Debug)]
pub(super) struct Files {
    scratch: Scratch,
    pub(super) toc_entries: u64,
    pub(super) warnings: u64,
}

/// Dumps into a scratch folder that has room for it.
pub(super) async fn dump(work: &Work<'_>, order: &Order<'_>, parallel: &Parallel) -> Result<Files, Ended> {
    let scratch = make(order.database_bytes, parallel)?;
    let into = scratch.path().join("dump");
    let mut command = command(order);
    command
        .args(["--format=directory", "--compress=0", "--no-sync"])
        .arg(format!("--jobs={}", parallel.jobs))
        .arg("--file")
        .arg(&into);
    let pg_dump = order.tools.pg_dump.display();
    let mut child = (work.spawner.spawn(command).await)
        .map_err(|error| Failure::later(format!("{pg_dump} could not be started: {error}")))?;
    let said = Said::default();
    let listener = said.listen(child.stderr.take());
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = work.stop.cancelled() => {
                let _ = child.end(GRACE).await;
                return Err(Ended::Stopped);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        let bytes = files(&into).map(|files| files.iter().map(|(_, bytes)| bytes).sum()).unwrap_or(0);
        (work.tell)(bytes, Some(order.database_bytes.max(bytes)), "bytes", said.at().as_deref());
        if parallel.budget.is_some_and(|budget| bytes > budget) {
            let _ = child.end(GRACE).await;
            let why = format!("the dump takes more than the scratch budget of {} bytes", parallel.budget.unwrap_or(0));
            return Err(Failure::never(why).help("raise parallel.budget, or use mode = \"single\"").into());
        }
    };
    let status = status.map_err(|error| Failure::later(format!("pg_dump cannot be waited for: {error}")))?;
    if let Some(listener) = listener {
        let _ = timeout(Duration::from_secs(2), listener).await;
    }
    if !status.success() {
        return Err(named(Failure::later(format!("pg_dump ended with {status}: {}", said.words()))).into());
    }
    let mut list = bare(&order.tools.pg_restore);
    list.arg("--list").arg(&into);
    let wrong =
        |why: String| Failure::later(format!("the dump's table of contents cannot be read: pg_restore --list {why}"));
    let listed = work.spawner.capture(list, LISTING).await.map_err(|error| wrong(error.to_string()))?;
    if !listed.status.success() {
        return Err(wrong(format!("ended with {}: {}", listed.status, listed.stderr.trim())).into());
    }
    let entries = listed.stdout.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count();
    Ok(Files { scratch, toc_entries: entries as u64, warnings: said.warnings() })
}

fn make(database_bytes: u64, parallel: &Parallel) -> Result<Scratch, Failure> {
    let at = parallel.scratch.display();
    let near = |error: std::io::Error| {
        Failure::later(format!("the scratch folder {at} cannot be used: {error}"))
            .help("name a folder that the daemon's user may write to as parallel.scratch")
    };
    let room = free(&parallel.scratch).map_err(near)?;
    let room = parallel.budget.map_or(room, |budget| room.min(budget));
    if room < database_bytes {
        let why = format!("a dump may take {database_bytes} bytes of scratch, and {at} has room for {room}");
        return Err(Failure::never(why).help("make room, name another parallel.scratch, or use mode = \"single\""));
    }
    Scratch::new(&parallel.scratch, "dump", 0o700).map_err(near)
}

/// Uploads the files, the largest first; each is gone from the scratch folder once it is stored.
pub(super) async fn store(
    work: &Work<'_>,
    files: &Files,
    stem: &Stem,
    packing: &Packing,
    vault: &Vault,
    jobs: u32,
) -> Result<Vec<Part>, Ended> {
    let all = self::files(&files.scratch.path().join("dump"))
        .map_err(|error| Failure::later(format!("the dump's files cannot be listed: {error}")))?;
    let total: u64 = all.iter().map(|(_, bytes)| bytes).sum();
    let done = AtomicU64::new(0);
    let seen = |bytes: u64| {
        let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (work.tell)(done, Some(total), "bytes", Some("storing"));
    };
    let mut parts: Vec<Part> = stream::iter(all)
        .map(|(path, bytes)| one(work, path, bytes, stem, packing, vault, &seen))
        .buffer_unordered(jobs.max(1) as usize)
        .try_collect()
        .await?;
    parts.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(parts)
}

async fn one(
    work: &Work<'_>,
    path: PathBuf,
    bytes: u64,
    stem: &Stem,
    packing: &Packing,
    vault: &Vault,
    seen: &impl Fn(u64),
) -> Result<Part, Ended> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let key = stem.file(&name, !packing.recipients.is_empty());
    let mut packer = Packer::start(packing.clone(), vault.create(&key, bytes).await?);
    let near = |error: std::io::Error| Failure::later(format!("{} cannot be read: {error}", path.display()));
    let read = async {
        let mut file = tokio::fs::File::open(&path).await.map_err(near)?;
        loop {
            work.go_on()?;
            let mut chunk = Vec::with_capacity(CHUNK);
            (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await.map_err(near)?;
            if chunk.is_empty() {
                return Ok::<_, Ended>(());
            }
            seen(chunk.len() as u64);
            if !packer.write(chunk).await {
                return Ok(());
            }
        }
    };
    if let Err(ended) = read.await {
        packer.give_up().await;
        return Err(ended);
    }
    let packed = packer.finish().await?.publish().await?;
    let _ = fs::remove_file(&path);
    Ok(packed.part(key, Role::File(name)))
}

/// The files of a folder with their sizes, the largest first.
fn files(folder: &Path) -> std::io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Gone again: `pg_dump` makes and removes some.
        if let Ok(meta) = entry.metadata() {
            found.push((entry.path(), meta.len()));
        }
    }
    found.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    Ok(found)
}
