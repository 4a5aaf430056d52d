//! One `pg_dump`, from its start to the judgement of its end.

use std::{process::ExitStatus, time::Duration};

use tokio::{
    io::AsyncReadExt,
    process::{ChildStdout, Command},
    time::timeout,
};

use super::{
    pipe::{CHUNK, Packer, Sent},
    program::{Access, Said, named},
    toc::Toc,
    tools::Tools,
    work::{Ended, Work},
};
use crate::{child::Child, outcome::Failure};

/// What is to be dumped, and how.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) access: &'a Access,
    pub(super) tools: &'a Tools,
    pub(super) exclude_table_data: &'a [String],
    /// The snapshot that it shares with the fingerprint.
    pub(super) snapshot: Option<&'a str>,
    /// The database's size, for the progress.
    pub(super) database_bytes: u64,
}

/// A whole dump; nobody sees it yet.
#[derive(Debug)]
pub(super) struct Dumped {
    pub(super) sent: Sent,
    pub(super) toc_entries: u64,
    pub(super) warnings: u64,
}

/// How long `pg_dump` has between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How long it may take to end after its last byte.
const END: Duration = Duration::from_secs(60);
/// How long it waits for a table's lock.
const LOCK: &str = "30s";
/// How a dump in custom format begins.
const MAGIC: &[u8; 5] = b"PGDMP";

/// Dumps into `packer`. Whole only if this returns a value; otherwise what was sent is given up.
pub(super) async fn dump(work: &Work<'_>, order: &Order<'_>, mut packer: Packer) -> Result<Dumped, Ended> {
    let pg_dump = order.tools.pg_dump.display();
    let mut command = command(order);
    command.args(["--format=custom", "--compress=0"]);
    let spawned = work.spawner.spawn(command).await;
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            packer.give_up().await;
            return Err(Failure::later(format!("{pg_dump} could not be started: {error}")).into());
        }
    };
    let ended = tokio::select! {
        ended = to_the_end(work, order, &mut child, &mut packer) => ended.map_err(Ended::Failed),
        () = work.stop.cancelled() => Err(Ended::Stopped),
    };
    match ended {
        Ok((toc_entries, warnings)) => Ok(Dumped { sent: packer.finish().await?, toc_entries, warnings }),
        Err(ended) => {
            let _ = child.end(GRACE).await;
            packer.give_up().await;
            Err(ended)
        }
    }
}

/// `pg_dump`, but for its format and where it goes.
pub(super) fn command(order: &Order<'_>) -> Command {
    let mut command = order.access.command(&order.tools.pg_dump);
    command
        .args(["--no-password", "--verbose"])
        .arg(format!("--lock-wait-timeout={LOCK}"))
        .args(order.snapshot.map(|id| format!("--snapshot={id}")))
        .args(order.exclude_table_data.iter().map(|table| format!("--exclude-table-data={table}")));
    command
}

async fn to_the_end(
    work: &Work<'_>,
    order: &Order<'_>,
    child: &mut Child,
    packer: &mut Packer,
) -> Result<(u64, u64), Failure> {
    let said = Said::default();
    let listener = said.listen(child.stderr.take());
    let stdout = child.stdout.take().ok_or_else(|| Failure::later("pg_dump has no output"))?;
    // The kernel's 64 KiB would have pg_dump and us wake one another a hundred times for each of our pieces. Where it
    // refuses more, it is only slower.
    let _ = rustix::pipe::fcntl_setpipe_size(&stdout, 1 << 20);
    let mut toc = Toc::start(order.tools, work.spawner).await?;
    let is_dump = pump(stdout, &mut toc, packer, |bytes| {
        (work.tell)(bytes, Some(order.database_bytes.max(bytes)), "bytes", said.at().as_deref());
    })
    .await?;
    let status = timeout(END, child.wait())
        .await
        .map_err(|_| Failure::later(format!("pg_dump closed its output but did not end within {} s", END.as_secs())))?
        .map_err(|error| Failure::later(format!("pg_dump cannot be waited for: {error}")))?;
    if let Some(listener) = listener {
        let _ = timeout(Duration::from_secs(2), listener).await;
    }
    judge(status, packer.bytes(), is_dump, &said)?;
    Ok((toc.entries().await?, said.warnings()))
}

/// Moves a dump to the packer. True if it begins as a dump does.
async fn pump(mut from: ChildStdout, toc: &mut Toc, packer: &mut Packer, seen: impl Fn(u64)) -> Result<bool, Failure> {
    let mut is_dump = false;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut from).take(CHUNK as u64).read_to_end(&mut chunk).await;
        read.map_err(|error| Failure::later(format!("pg_dump's output could not be read: {error}")))?;
        if chunk.is_empty() {
            return Ok(is_dump);
        }
        is_dump |= packer.bytes() == 0 && chunk.starts_with(MAGIC);
        toc.feed(&chunk).await;
        if !packer.write(chunk).await {
            return Ok(is_dump);
        }
        seen(packer.bytes());
    }
}

/// Whether what passed is a whole dump: silence, too little and a bad end are all failures.
fn judge(status: ExitStatus, bytes: u64, is_dump: bool, said: &Said) -> Result<(), Failure> {
    if !status.success() {
        return Err(named(Failure::later(format!("pg_dump ended with {status}: {}", said.words()))));
    }
    if bytes == 0 {
        return Err(Failure::later("pg_dump ended as if all were well, but wrote nothing")
            .help("run pg_dump by hand as the daemon's user: it may be a wrapper that hides an error"));
    }
    if !is_dump {
        return Err(Failure::later("what pg_dump wrote is no dump in custom format (it does not begin with PGDMP)")
            .help("run pg_dump by hand as the daemon's user: it may be a wrapper that prints something"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn silence_and_too_little_are_failures() {
        let (said, ok) = (Said::default(), ExitStatus::from_raw(0));
        assert_eq!(judge(ok, 10, true, &said), Ok(()));
        assert!(judge(ok, 0, false, &said).is_err());
        assert!(judge(ok, 9, false, &said).is_err());
        assert!(judge(ExitStatus::from_raw(256), 10, true, &said).is_err());
    }
}
