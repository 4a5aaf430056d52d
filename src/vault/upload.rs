//! An object in the making: nobody sees it before it is whole.

use std::{mem, sync::Arc};

use bytes::Bytes;
use tokio::task::JoinError;

use super::{Kind, VaultError, bandwidth::Bandwidth, dir, hashing::Hashing, s3};

/// Bytes that are hashed and passed on together: few enough to be copied without holding anybody up, enough to make
/// the way to another thread cheap.
const BLOCK: usize = 1024 * 1024;

/// An object in the making. Dropping it gives it up, as far as that is possible without waiting.
///
/// It holds at most three blocks of 1 MiB beside what the way to its place holds: a directory another two, S3 the parts in
/// flight and the one that is being filled (40 MiB while parts are 8 MiB; see `part_size`).
#[derive(Debug)]
pub struct Upload {
    vault: String,
    key: String,
    way: Way,
    bandwidth: Option<Arc<Bandwidth>>,
    hashing: Hashing,
    /// What was not passed on yet, and its size.
    block: Vec<Bytes>,
    held: usize,
    bytes: u64,
}

#[derive(Debug)]
pub(super) enum Way {
    Dir(Box<dir::Writing>),
    S3(Box<s3::Writing>),
}

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

impl Upload {
    pub(super) fn new(vault: &str, key: &str, way: Way, bandwidth: Option<Arc<Bandwidth>>) -> Self {
        let (vault, key, hashing) = (vault.to_owned(), key.to_owned(), Hashing::new());
        Self { vault, key, way, bandwidth, hashing, block: Vec::new(), held: 0, bytes: 0 }
    }

    /// Adds bytes at the end; they are not copied here. An error may belong to bytes that were added earlier.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), VaultError> {
        let mut bytes = bytes.into();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(BLOCK - self.held));
            if let Some(bandwidth) = &self.bandwidth {
                bandwidth.take(piece.len()).await;
            }
            self.bytes += piece.len() as u64;
            self.held += piece.len();
            self.block.push(piece);
            if self.held == BLOCK {
                self.pass_on().await?;
            }
        }
        Ok(())
    }

    async fn pass_on(&mut self) -> Result<(), VaultError> {
        let block = mem::take(&mut self.block);
        self.held = 0;
        let hashed = self.hashing.add(block.clone()).await;
        hashed.map_err(|error| unhashed(&self.vault, &self.key, &error))?;
        match &mut self.way {
            Way::Dir(writing) => writing.write(block).await,
            Way::S3(writing) => writing.write(block).await,
        }
    }

    /// Makes the object durable and visible. When this fails, nothing is to be seen, unless the service fails on and on once
    /// it has all: then nobody can tell, and whoever needs certainty looks later.
    pub async fn finish(mut self) -> Result<Stored, VaultError> {
        if let Err(error) = self.pass_on().await {
            // What the caller is told is why it failed; a leftover is swept later.
            let _ = self.abort().await;
            return Err(error);
        }
        let Self { vault, key, way, hashing, bytes, .. } = self;
        let sha256 = hashing.finish().await.map_err(|error| unhashed(&vault, &key, &error))?;
        match way {
            Way::Dir(writing) => writing.finish().await?,
            Way::S3(writing) => writing.finish(bytes).await?,
        }
        Ok(Stored { bytes, sha256 })
    }

    /// Gives it up and removes what was written.
    pub async fn abort(self) -> Result<(), VaultError> {
        match self.way {
            Way::Dir(writing) => writing.abort().await,
            Way::S3(writing) => writing.abort().await,
        }
    }
}

fn unhashed(vault: &str, key: &str, error: &JoinError) -> VaultError {
    VaultError {
        vault: vault.to_owned(),
        what: format!("hashing {key}"),
        why: error.to_string(),
        help: None,
        kind: Kind::Passing,
    }
}
