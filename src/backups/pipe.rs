//! The stream of a backup to and from a vault: compressed and sealed on its way, in constant memory.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use super::{
    manifest::{BLOCK, Part},
    seal::{Identities, NoKey, Recipient, Sealing},
};
use crate::{
    outcome::Failure,
    vault::{Stored, Upload, Vault},
};

/// Bytes that travel together; a few of these are in flight.
pub(super) const CHUNK: usize = 256 * 1024;
const IN_FLIGHT: usize = 4;

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
pub(super) struct Packed {
    pub(super) stored: Stored,
    /// Digests of its blocks; see [`Part::blocks`].
    pub(super) blocks: Vec<String>,
    /// Bytes before packing.
    pub(super) plain: u64,
}

/// The far end of a stream that is being packed: bytes are written here.
#[derive(Debug)]
pub(super) struct Packer {
    plain: mpsc::Sender<Vec<u8>>,
    packing: JoinHandle<io::Result<()>>,
    sending: JoinHandle<Result<(Upload, Vec<String>), Failure>>,
    bytes: u64,
}

impl Packer {
    /// Begins; what comes out goes into `upload`.
    pub(super) fn start(packing: Packing, mut upload: Upload) -> Self {
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
    pub(super) async fn write(&mut self, bytes: Vec<u8>) -> bool {
        self.bytes += bytes.len() as u64;
        self.plain.send(bytes).await.is_ok()
    }

    /// How many bytes came so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until all is packed and sent, but does not make it visible: that is the upload's.
    pub(super) async fn finish(self) -> Result<Sent, Failure> {
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
    pub(super) async fn give_up(self) {
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
pub(super) struct Sent {
    upload: Upload,
    blocks: Vec<String>,
    plain: u64,
}

impl Sent {
    /// Makes it visible.
    pub(super) async fn publish(self) -> Result<Packed, Failure> {
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

/// Short digests of the blocks of a stream, so that a bad byte can be found.
#[derive(Default)]
struct Blocks {
    hash: Sha256,
    filled: usize,
    digests: Vec<String>,
}

impl Blocks {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.hash.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let digest = self.hash.finalize_reset();
        self.digests.push(hex(&digest[..8]));
        self.filled = 0;
    }

    fn end(mut self) -> Vec<String> {
        if self.filled > 0 {
            self.close();
        }
        self.digests
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A stored object on its way back: its plain bytes, and at the end whether it is what was stored.
#[derive(Debug)]
pub(super) struct Unpacking {
    plain: mpsc::Receiver<Vec<u8>>,
    opening: JoinHandle<io::Result<()>>,
    reading: JoinHandle<io::Result<Seen>>,
    part: Part,
    vault: String,
    stored: Arc<AtomicU64>,
    bytes: u64,
}

/// Why an object that was read is of no use.
#[derive(Debug)]
pub(super) enum Bad {
    /// It could not be read now.
    Passing(Failure),
    /// It is not what was stored.
    Stored(Failure),
    /// It is what was stored, and none of the identities opens it.
    Closed(Failure),
}

#[derive(Debug)]
struct Seen {
    bytes: u64,
    sha256: String,
    blocks: Vec<String>,
}

impl Unpacking {
    /// Opens an object for reading; `identities` open it where it is sealed.
    pub(super) async fn start(vault: &Vault, part: &Part, identities: &Identities) -> Result<Self, Failure> {
        let body = vault.get(&part.key).await?;
        let (packed, packed_end) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
        let (plain_to, plain) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
        let stored = Arc::new(AtomicU64::new(0));
        let reading = tokio::spawn(read(body, packed, Arc::clone(&stored)));
        let (sealed, identities) = (part.key.ends_with(".age"), identities.clone());
        let opening = spawn_blocking(move || {
            let mut inlet = Inlet { from: packed_end, chunk: Vec::new(), at: 0 };
            let opened = if sealed {
                identities.open(&mut inlet).and_then(|opened| decompress(opened, &plain_to))
            } else {
                decompress(&mut inlet, &plain_to)
            };
            // Whatever was found, the whole object is read: its digests say where it is bad.
            while inlet.next().is_some() {}
            opened
        });
        Ok(Self { plain, opening, reading, part: part.clone(), vault: vault.name().to_owned(), stored, bytes: 0 })
    }

    /// The next plain bytes; none at the end, good or bad.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        let bytes = self.plain.recv().await?;
        self.bytes += bytes.len() as u64;
        Some(bytes)
    }

    /// How many stored bytes were read so far.
    pub(super) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Reads what is left and says whether the object is what was stored; returns its plain bytes.
    ///
    /// # Errors
    /// Names the object, and the range of bytes that is bad.
    pub(super) async fn finish(mut self) -> Result<u64, Bad> {
        while self.next().await.is_some() {}
        let bad = |why: String| {
            let failure = Failure::never(format!("vault `{}`: {}: {why}", self.vault, self.part.key));
            Bad::Stored(
                failure.help("the backup is damaged where it is stored: keep the ones before it, and take a new one"),
            )
        };
        let seen = self.reading.await.map_err(io::Error::other).and_then(|seen| seen);
        let opened = self.opening.await.map_err(io::Error::other).and_then(|opened| opened);
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                let why = format!("vault `{}`: reading {}: {error}", self.vault, self.part.key);
                return Err(Bad::Passing(Failure::later(why)));
            }
        };
        if seen.bytes != self.part.bytes {
            return Err(bad(format!("has {} bytes, and {} were stored", seen.bytes, self.part.bytes)));
        }
        if seen.sha256 != self.part.sha256 {
            return Err(bad(format!("is not what was stored (SHA-256 differs): {}", where_bad(&self.part, &seen))));
        }
        if let Err(error) = opened {
            if error.get_ref().is_some_and(|inner| inner.is::<NoKey>()) {
                let why = format!("vault `{}`: {}: {error}", self.vault, self.part.key);
                return Err(Bad::Closed(Failure::never(why).help("name the identity of one of its recipients")));
            }
            return Err(bad(format!("is what was stored, but cannot be unpacked: {error}")));
        }
        Ok(self.bytes)
    }

    /// Gives up reading.
    pub(super) fn give_up(self) {
        self.reading.abort();
    }
}

/// Which bytes are bad, as far as the manifest's digests tell.
fn where_bad(part: &Part, seen: &Seen) -> String {
    let block = BLOCK as u64;
    let pairs = part.blocks.iter().zip(&seen.blocks).enumerate();
    let bad: Vec<String> = pairs
        .filter(|(_, (stored, seen))| stored != seen)
        .map(|(n, _)| format!("{}-{}", n as u64 * block, ((n as u64 + 1) * block).min(part.bytes) - 1))
        .take(5)
        .collect();
    if bad.is_empty() { "somewhere".to_owned() } else { format!("bytes {}", bad.join(", ")) }
}

async fn read(mut body: impl AsyncRead + Unpin, to: mpsc::Sender<Vec<u8>>, stored: Arc<AtomicU64>) -> io::Result<Seen> {
    let (mut hash, mut blocks, mut bytes) = (Sha256::new(), Blocks::default(), 0);
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        (&mut body).take(CHUNK as u64).read_to_end(&mut chunk).await?;
        if chunk.is_empty() {
            return Ok(Seen { bytes, sha256: hex(&hash.finalize()), blocks: blocks.end() });
        }
        hash.update(&chunk);
        blocks.add(&chunk);
        bytes += chunk.len() as u64;
        stored.store(bytes, Ordering::Relaxed);
        // The opener reads to the end, whatever it finds; it is gone only if the consumer is.
        let _ = to.send(chunk).await;
    }
}

fn decompress(from: impl Read, to: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    let mut decoder = zstd::stream::read::Decoder::new(from)?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        (&mut decoder).take(CHUNK as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() || to.blocking_send(chunk).is_err() {
            return Ok(());
        }
    }
}

/// A channel, as something that blocks.
struct Inlet {
    from: mpsc::Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Inlet {
    fn next(&mut self) -> Option<()> {
        self.chunk = self.from.blocking_recv()?;
        self.at = 0;
        Some(())
    }
}

impl Read for Inlet {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            if self.next().is_none() {
                return Ok(0);
            }
        }
        let length = into.len().min(self.chunk.len() - self.at);
        into[..length].copy_from_slice(&self.chunk[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
