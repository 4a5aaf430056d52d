//! The stream of a backup to and from a vault: compressed and sealed on its way, in constant memory.

mod pack;
mod unpack;

use sha2::{Digest, Sha256};

use super::manifest::BLOCK;

pub use pack::Packing;
pub(super) use pack::{Packer, Sent};
pub(super) use unpack::{Bad, Unpacking};

/// Bytes that travel together; a few of these are in flight.
pub(super) const CHUNK: usize = 256 * 1024;
const IN_FLIGHT: usize = 4;

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
