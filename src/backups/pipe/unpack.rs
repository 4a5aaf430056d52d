//! A stored object on its way back, and whether it is what was stored.

use std::{
    io::{self, Read},
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

use super::{Blocks, CHUNK, IN_FLIGHT, hex};
use crate::{
    backups::{
        manifest::{BLOCK, Part},
        seal::{Identities, NoKey},
    },
    outcome::Failure,
    vault::Vault,
};

/// A stored object on its way back: its plain bytes, and at the end whether it is what was stored.
#[derive(Debug)]
pub(in crate::backups) struct Unpacking {
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
pub(in crate::backups) enum Bad {
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
    pub(in crate::backups) async fn start(
        vault: &Vault,
        part: &Part,
        identities: &Identities,
    ) -> Result<Self, Failure> {
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
    pub(in crate::backups) async fn next(&mut self) -> Option<Vec<u8>> {
        let bytes = self.plain.recv().await?;
        self.bytes += bytes.len() as u64;
        Some(bytes)
    }

    /// How many stored bytes were read so far.
    pub(in crate::backups) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Reads what is left and says whether the object is what was stored; returns its plain bytes.
    ///
    /// # Errors
    /// Names the object, and the range of bytes that is bad.
    pub(in crate::backups) async fn finish(mut self) -> Result<u64, Bad> {
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
    pub(in crate::backups) fn give_up(self) {
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
