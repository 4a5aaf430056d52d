//! A dump's table of contents, read by `pg_restore --list` from the head of the stream as it passes.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    process::ChildStdin,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{program::bare, tools::Tools};
use crate::{
    child::{Child, Spawner},
    outcome::Failure,
};

/// How long `pg_restore` may take to read a piece, and to end after the last.
const LISTING: Duration = Duration::from_secs(60);

/// `pg_restore --list`, reading the dump as it passes.
#[derive(Debug)]
pub(super) struct Toc {
    child: Child,
    stdin: Option<ChildStdin>,
    entries: Option<AbortOnDropHandle<Vec<String>>>,
    complaint: Option<AbortOnDropHandle<String>>,
}

impl Toc {
    pub(super) async fn start(tools: &Tools, spawner: &Spawner) -> Result<Self, Failure> {
        let mut command = bare(&tools.pg_restore);
        command.arg("--list").stdin(Stdio::piped());
        let mut child = spawner
            .spawn(command)
            .await
            .map_err(|error| Failure::later(format!("{} could not be started: {error}", tools.pg_restore.display())))?;
        let entries = child.stdout.take().map(|pipe| AbortOnDropHandle::new(tokio::spawn(entries(pipe))));
        let complaint = child.stderr.take().map(|pipe| AbortOnDropHandle::new(tokio::spawn(head(pipe))));
        Ok(Self { stdin: child.stdin.take(), child, entries, complaint })
    }

    /// Gives it the next piece, for as long as it reads.
    pub(super) async fn feed(&mut self, chunk: &[u8]) {
        if let Some(stdin) = &mut self.stdin
            && !matches!(timeout(LISTING, stdin.write_all(chunk)).await, Ok(Ok(())))
        {
            self.stdin = None;
        }
    }

    /// Whether it still wants to read.
    pub(super) fn is_reading(&self) -> bool {
        self.stdin.is_some()
    }

    /// How many entries the table of contents has.
    pub(super) async fn entries(self) -> Result<u64, Failure> {
        Ok(self.lines().await?.len() as u64)
    }

    /// Its entries, as `pg_restore --use-list` takes them.
    pub(super) async fn lines(mut self) -> Result<Vec<String>, Failure> {
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
            None => Vec::new(),
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

/// The lines that are entries: comments begin with `;`.
async fn entries(pipe: impl AsyncRead + Unpin) -> Vec<String> {
    let mut lines = BufReader::new(pipe).split(b'\n');
    let mut entries = Vec::new();
    while let Ok(Some(line)) = lines.next_segment().await {
        if line.first().is_some_and(u8::is_ascii_digit) {
            entries.push(String::from_utf8_lossy(&line).into_owned());
        }
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
