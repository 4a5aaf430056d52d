//! A stream on its way to a vault.

use std::io::{self, Write};

use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use super::{Blocks, CHUNK, IN_FLIGHT};
use crate::{
    backups::{
        manifest::{Part, Role},
        seal::{Recipient, Sealing},
    },
    outcome::Failure,
    vault::{Stored, Upload},
};

/// How a stream is made smaller, and for whom.
#[derive(Debug, Clone, Default)]
pub struct Packing {
    /// The level of zstd.
    pub level: i32,
    /// Who may read; nobody: it is not sealed.
    pub recipients: Vec<Recipient>,
}

/// A packed stream that is stored.
#[derive(Debug)]
pub(in crate::backups) struct Packed {
    pub(in crate::backups) stored: Stored,
    /// Digests of its blocks; see [`Part::blocks`].
    pub(in crate::backups) blocks: Vec<String>,
    /// Bytes before packing.
    pub(in crate::backups) plain: u64,
}

impl Packed {
    /// As an object of a backup.
    pub(in crate::backups) fn part(self, key: String, role: Role) -> Part {
        Part {
            key,
            role,
            bytes: self.stored.bytes,
            sha256: self.stored.sha256,
            dump_bytes: self.plain,
            blocks: self.blocks,
        }
    }
}

/// The far end of a stream that is being packed: bytes are written here.
#[derive(Debug)]
pub(in crate::backups) struct Packer {
    plain: mpsc::Sender<Vec<u8>>,
    packing: JoinHandle<io::Result<()>>,
    sending: JoinHandle<Result<(Upload, Vec<String>), Failure>>,
    bytes: u64,
}

impl Packer {
    /// Begins; what comes out goes into `upload`.
    pub(in crate::backups) fn start(packing: Packing, mut upload: Upload) -> Self {
        let (plain, plain_end) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
        let (packed, mut packed_end) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
        let packing = spawn_blocking(move || pack(plain_end, packed, &packing));
        let sending = tokio::spawn(async move {
            let mut blocks = Blocks::default();
            while let Some(bytes) = packed_end.recv().await {
                blocks.add(&bytes);
                if let Err(error) = upload.write(bytes).await {
                    let _ = upload.abort().await;
                    return Err(error.into());
                }
            }
            Ok((upload, blocks.end()))
        });
        Self { plain, packing, sending, bytes: 0 }
    }

    /// Adds bytes; false once the other end has failed, which [`finish`](Self::finish) tells.
    pub(in crate::backups) async fn write(&mut self, bytes: Vec<u8>) -> bool {
        self.bytes += bytes.len() as u64;
        self.plain.send(bytes).await.is_ok()
    }

    /// How many bytes came so far.
    pub(in crate::backups) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until all is packed and sent, but does not make it visible: that is the upload's.
    pub(in crate::backups) async fn finish(self) -> Result<Sent, Failure> {
        drop(self.plain);
        let sent = self.sending.await.map_err(|error| Failure::later(format!("sending broke down: {error}")))?;
        let (upload, blocks) = sent?;
        let packed = self.packing.await.map_err(io::Error::other).and_then(|done| done);
        if let Err(error) = packed {
            let _ = upload.abort().await;
            return Err(Failure::later(format!("the stream could not be compressed: {error}")));
        }
        Ok(Sent { upload, blocks, plain: self.bytes })
    }

    /// Gives up, and what was sent with it.
    pub(in crate::backups) async fn give_up(self) {
        // Without this the stream would end as if it were whole; nobody finishes the upload, though.
        drop(self.plain);
        let _ = self.packing.await;
        if let Ok(Ok((upload, _))) = self.sending.await
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "an unfinished upload stays behind; the run's next attempt removes it");
        }
    }
}

/// All is sent; nobody sees it yet.
#[derive(Debug)]
pub(in crate::backups) struct Sent {
    upload: Upload,
    blocks: Vec<String>,
    plain: u64,
}

impl Sent {
    /// Makes it visible.
    pub(in crate::backups) async fn publish(self) -> Result<Packed, Failure> {
        let stored = self.upload.finish().await?;
        Ok(Packed { stored, blocks: self.blocks, plain: self.plain })
    }
}

/// Compresses and seals until its channel closes; runs where it may block.
fn pack(mut from: mpsc::Receiver<Vec<u8>>, to: mpsc::Sender<Vec<u8>>, packing: &Packing) -> io::Result<()> {
    let outlet = Sealing::new(Outlet { to, gathered: Vec::with_capacity(CHUNK) }, &packing.recipients)?;
    let mut encoder = zstd::stream::write::Encoder::new(outlet, packing.level)?;
    encoder.include_checksum(true)?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    encoder.multithread(u32::try_from(workers).unwrap_or(1))?;
    while let Some(bytes) = from.blocking_recv() {
        encoder.write_all(&bytes)?;
    }
    encoder.finish()?.finish()?.send()
}

/// Gathers what comes in small pieces.
struct Outlet {
    to: mpsc::Sender<Vec<u8>>,
    gathered: Vec<u8>,
}

impl Outlet {
    fn send(&mut self) -> io::Result<()> {
        let bytes = std::mem::replace(&mut self.gathered, Vec::with_capacity(CHUNK));
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
