//! An object in the making: nobody sees it before it is whole.

use sha2::{Digest, Sha256};

use super::{VaultError, dir, s3};

/// An object in the making. Dropping it gives it up, as far as that is possible without waiting.
#[derive(Debug)]
pub struct Upload {
    way: Way,
    hash: Sha256,
    bytes: u64,
}

#[derive(Debug)]
pub(super) enum Way {
    Dir(dir::Writing),
    S3(s3::Writing),
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
    pub(super) fn new(way: Way) -> Self {
        Self { way, hash: Sha256::new(), bytes: 0 }
    }

    /// Adds bytes at the end.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), VaultError> {
        self.hash.update(&bytes);
        self.bytes += bytes.len() as u64;
        match &mut self.way {
            Way::Dir(writing) => writing.write(&bytes).await,
            Way::S3(writing) => writing.write(&bytes).await,
        }
    }

    /// Makes the object durable and visible.
    pub async fn finish(self) -> Result<Stored, VaultError> {
        match self.way {
            Way::Dir(writing) => writing.finish().await?,
            Way::S3(writing) => writing.finish(self.bytes).await?,
        }
        let sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Stored { bytes: self.bytes, sha256 })
    }

    /// Gives it up and removes what was written.
    pub async fn abort(self) -> Result<(), VaultError> {
        match self.way {
            Way::Dir(writing) => writing.abort().await,
            Way::S3(writing) => writing.abort().await,
        }
    }
}
