//! The stream of a dump: compressed on its way and handed to the vault, in constant memory.
//!
//! Its head also goes to `pg_restore --list`, which reads the table of contents and leaves.

use std::{
    io::{self, Write},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, ChildStdout, Command},
    sync::mpsc,
    task::spawn_blocking,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::tools::Tools;
use crate::{
    child::{Child, Spawner},
    outcome::Failure,
    vault::Upload,
};

/// How a dump in custom format begins.
const MAGIC: &[u8; 5] = b"PGDMP";
/// Bytes that travel together; a few of these are in flight.
const CHUNK: usize = 256 * 1024;
const IN_FLIGHT: usize = 4;
/// How long `pg_restore` may take to read a piece, and to end after the last.
const LISTING: Duration = Duration::from_secs(60);

/// What went through.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) dump_bytes: u64,
    /// Whether it begins as a dump does.
    pub(super) is_dump: bool,
}

/// Moves a dump from `from` into `upload`, compressed with this level; tells `seen` how many bytes there were.
pub(super) async fn pump(
    mut from: ChildStdout,
    toc: &mut Toc,
    level: i32,
    upload: &mut Upload,
    seen: impl Fn(u64),
) -> Result<Passed, Failure> {
    let (plain, plain_end) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
    let (packed, mut packed_end) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
    let compressing = spawn_blocking(move || compress(plain_end, packed, level));
    let reading = async {
        let mut passed = Passed { dump_bytes: 0, is_dump: false };
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = (&mut from).take(CHUNK as u64).read_to_end(&mut chunk).await;
            read.map_err(|error| Failure::later(format!("pg_dump's output could not be read: {error}")))?;
            if chunk.is_empty() {
                break;
            }
            passed.is_dump |= passed.dump_bytes == 0 && chunk.starts_with(MAGIC);
            passed.dump_bytes += chunk.len() as u64;
            seen(passed.dump_bytes);
            toc.feed(&chunk).await;
            // The compressor ends early only by an error, which is seen below.
            if plain.send(chunk).await.is_err() {
                break;
            }
        }
        drop(plain);
        Ok(passed)
    };
    let writing = async {
        while let Some(bytes) = packed_end.recv().await {
            upload.write(bytes).await?;
        }
        Ok::<_, Failure>(())
    };
    let (passed, ()) = tokio::try_join!(reading, writing)?;
    let compressed = compressing.await.map_err(io::Error::other).and_then(|done| done);
    compressed.map_err(|error| Failure::later(format!("the dump could not be compressed: {error}")))?;
    Ok(passed)
}

/// Compresses until its channel closes; runs where it may block.
fn compress(mut from: mpsc::Receiver<Vec<u8>>, to: mpsc::Sender<Vec<u8>>, level: i32) -> io::Result<()> {
    let mut encoder = zstd::stream::write::Encoder::new(Outlet { to, gathered: Vec::new() }, level)?;
    encoder.include_checksum(true)?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    encoder.multithread(u32::try_from(workers).unwrap_or(1))?;
    while let Some(bytes) = from.blocking_recv() {
        encoder.write_all(&bytes)?;
    }
    encoder.finish()?.send()
}

/// Gathers what the encoder gives in small pieces.
struct Outlet {
    to: mpsc::Sender<Vec<u8>>,
    gathered: Vec<u8>,
}

impl Outlet {
    fn send(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.gathered);
        self.to.blocking_send(bytes).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `pg_restore --list`, reading the dump as it passes.
#[derive(Debug)]
pub(super) struct Toc {
    child: Child,
    stdin: Option<ChildStdin>,
    entries: Option<AbortOnDropHandle<u64>>,
    complaint: Option<AbortOnDropHandle<String>>,
}

impl Toc {
    pub(super) async fn start(tools: &Tools, spawner: &Spawner) -> Result<Self, Failure> {
        let mut command = Command::new(&tools.pg_restore);
        command.arg("--list").env("LC_ALL", "C").current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawner
            .spawn(command)
            .await
            .map_err(|error| Failure::later(format!("{} could not be started: {error}", tools.pg_restore.display())))?;
        let entries = child.stdout.take().map(|pipe| AbortOnDropHandle::new(tokio::spawn(count(pipe))));
        let complaint = child.stderr.take().map(|pipe| AbortOnDropHandle::new(tokio::spawn(head(pipe))));
        Ok(Self { stdin: child.stdin.take(), child, entries, complaint })
    }

    /// Gives it the next piece, for as long as it reads.
    async fn feed(&mut self, chunk: &[u8]) {
        if let Some(stdin) = &mut self.stdin
            && !matches!(timeout(LISTING, stdin.write_all(chunk)).await, Ok(Ok(())))
        {
            self.stdin = None;
        }
    }

    /// How many entries the table of contents has.
    pub(super) async fn entries(mut self) -> Result<u64, Failure> {
        self.stdin = None;
        let wrong = |why: String| {
            Failure::later(format!("the dump's table of contents cannot be read: pg_restore --list {why}"))
        };
        let status = match timeout(LISTING, self.child.wait()).await {
            Ok(status) => status.map_err(|error| wrong(format!("cannot be waited for: {error}")))?,
            Err(_) => return Err(wrong(format!("did not end within {} s", LISTING.as_secs()))),
        };
        let entries = match self.entries {
            Some(entries) => entries.await.unwrap_or_default(),
            None => 0,
        };
        if !status.success() {
            let complaint = match self.complaint {
                Some(complaint) => complaint.await.unwrap_or_default(),
                None => String::new(),
            };
            return Err(wrong(format!("ended with {status}: {}", complaint.trim())));
        }
        Ok(entries)
    }
}

/// Counts the lines that are entries: comments begin with `;`.
async fn count(pipe: impl AsyncRead + Unpin) -> u64 {
    let mut lines = BufReader::new(pipe).split(b'\n');
    let mut entries = 0;
    while let Ok(Some(line)) = lines.next_segment().await {
        entries += u64::from(line.first().is_some_and(u8::is_ascii_digit));
    }
    entries
}

/// The first words of an output that is read to its end.
async fn head(mut pipe: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let _ = (&mut pipe).take(2048).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
