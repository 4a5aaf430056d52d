//! The SHA-256 of what passes, worked out where it may take its time.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// A hash that is at most one block behind: the next one waits for it, so that memory stays bounded.
#[derive(Debug)]
pub(super) struct Hashing {
    /// Empty only while a block is handed over.
    hash: Option<Sha256>,
    busy: Option<JoinHandle<Sha256>>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self { hash: Some(Sha256::new()), busy: None }
    }

    /// Adds pieces at the end. Fails only when the runtime ends.
    pub(super) async fn add(&mut self, pieces: Vec<Bytes>) -> Result<(), JoinError> {
        let mut hash = self.ready().await?;
        self.busy = Some(spawn_blocking(move || {
            pieces.iter().for_each(|piece| hash.update(piece));
            hash
        }));
        Ok(())
    }

    /// The hash of everything, in hex.
    pub(super) async fn finish(mut self) -> Result<String, JoinError> {
        Ok(hex(&self.ready().await?.finalize()))
    }

    async fn ready(&mut self) -> Result<Sha256, JoinError> {
        match self.busy.take() {
            Some(busy) => busy.await,
            None => Ok(self.hash.take().unwrap_or_default()),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_are_hashed_in_their_order() {
        let mut hashing = Hashing::new();
        hashing.add(vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]).await.expect("hashed");
        hashing.add(vec![Bytes::from_static(b"c")]).await.expect("hashed");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hashing.finish().await.expect("a hash"), abc);
    }

    #[tokio::test]
    async fn nothing_has_a_hash_too() {
        assert!(Hashing::new().finish().await.expect("a hash").starts_with("e3b0c44298fc"));
    }
}
