//! One part of an upload: how large it is, and its way to the service.

use std::time::Duration;

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::{
    config::{
        Config, ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut,
        timeout::TimeoutConfig,
    },
    error::BoxError,
    primitives::ByteStream,
    types::CompletedPart,
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::{
    Checksums, S3,
    refused::{Refusal, refusal},
};
use crate::vault::{VaultError, hashing::hex};

const MIB: u64 = 1024 * 1024;
/// S3 takes 10,000 parts an object; the rest is left for an estimate that was too low.
const PARTS: u64 = 9_000;
/// What an upload's parts in flight may hold together.
const FLYING: u64 = 64 * MIB;

/// One upload on the service.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) s3: S3,
    pub(super) key: String,
    pub(super) upload: String,
}

impl Place {
    pub(super) fn error(&self, doing: &str, refused: Refusal) -> VaultError {
        self.s3.error(doing, &self.key, refused)
    }

    /// Uploads one part.
    pub(super) async fn send(self, number: i32, bytes: Bytes) -> Result<CompletedPart, VaultError> {
        let doing = format!("writing part {number} of");
        let hashed = bytes.clone();
        let hash = spawn_blocking(move || Sha256::digest(&hashed)).await;
        let hash = hash.map_err(|error| self.error(&doing, Refusal::passing(error.to_string())))?;
        let sum = base64(&hash);
        let limits = &self.s3.limits;
        let patience = limits.attempt + Duration::from_secs_f64(bytes.len() as f64 / limits.slowest.max(1) as f64);
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(patience).operation_timeout(patience * limits.tries);
        let checksums = self.s3.options.checksums();
        let client = self.s3.client().await;
        let mut part = client
            .upload_part()
            .bucket(&self.s3.options.bucket)
            .key(self.s3.key(&self.key))
            .upload_id(&self.upload)
            .part_number(number)
            .body(ByteStream::from(bytes));
        match checksums {
            Checksums::Sha256 => part = part.checksum_sha256(&sum),
            Checksums::Crc64 | Checksums::None => part = part.set_checksum_algorithm(checksums.algorithm()),
        }
        let sent = part
            .customize()
            .config_override(Config::builder().timeout_config(timeouts.build()))
            .interceptor(Hashed(hex(&hash)))
            .send()
            .await
            .map_err(|error| self.error(&doing, refusal(&error)))?;
        if sent.checksum_sha256.as_ref().is_some_and(|stored| *stored != sum) {
            let why = "the service stored other bytes than were sent: their SHA-256 is another one";
            return Err(self.error(&doing, Refusal::passing(why)));
        }
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_sha256(sent.checksum_sha256)
            .set_checksum_crc64_nvme(sent.checksum_crc64_nvme)
            .build())
    }
}

/// Signs with a hash of the body that is known already: the SDK would work it out again, and hold up the runtime.
#[derive(Debug)]
struct Hashed(String);

impl Intercept for Hashed {
    fn name(&self) -> &'static str {
        "Hashed"
    }

    fn modify_before_signing(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.0.clone()));
        Ok(())
    }
}

/// The size of the next part, so that 10,000 of them hold the object. Past the estimate, parts grow.
pub(super) fn part_size(least: u64, estimate: u64, sent: u64, number: i32) -> usize {
    let size = (estimate / PARTS).clamp(least, 512 * MIB);
    let grown = if sent > estimate { size << (number / 1_000).min(6) } else { size };
    usize::try_from(grown.min(512 * MIB)).unwrap_or(usize::MAX)
}

/// How many parts of this size may be on their way at once. With the one that is being filled, an upload holds at most
/// five parts of 8 MiB, 128 MiB while parts are at most 64 MiB (an object of 560 GiB by its estimate), and two parts beyond.
pub(super) fn in_flight(size: usize) -> usize {
    usize::try_from(FLYING / size.max(1) as u64).unwrap_or(1).clamp(1, 4)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().chain(&[0, 0]).take(3).fold(0, |word, byte| word << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = char::from(DIGITS[word >> (18 - 6 * place) & 63]);
            text.push(if place > three.len() { '=' } else { digit });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_any_object() {
        let size = |estimate, sent, number| part_size(8 * MIB, estimate, sent, number) as u64;
        assert_eq!(size(0, 0, 1), 8 * MIB);
        assert_eq!(size(900 * 1024 * MIB, 0, 1), 900 * 1024 * MIB / PARTS);
        let held = |estimate: u64| (1..=10_000).fold(0, |sent, n| sent + size(estimate, sent, n));
        assert!(held(0) > 1024 * 1024 * MIB, "an unknown size reaches a tebibyte: {} MiB", held(0) / MIB);
        assert!(held(2 * 1024 * 1024 * MIB) > 2 * 1024 * 1024 * MIB);
    }

    #[test]
    fn an_upload_holds_little_memory() {
        let held = |size: u64| (in_flight(size as usize) as u64 + 1) * size / MIB;
        assert_eq!(held(8 * MIB), 40);
        assert!((8..=64).all(|size| held(size * MIB) <= 128));
        assert_eq!(held(512 * MIB), 1024);
    }

    #[test]
    fn bytes_in_base64() {
        let texts = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob\u{7f}", "Zm9vYn8=")];
        texts.iter().for_each(|(plain, text)| assert_eq!(base64(plain.as_bytes()), *text));
    }
}
