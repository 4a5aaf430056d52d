//! The bytes of an object in a bucket; a connection that breaks is taken up again where it broke.

use std::{io, mem};

use aws_sdk_s3::{operation::get_object::GetObjectOutput, primitives::ByteStream};
use bytes::Bytes;
use futures::stream::try_unfold;
use tokio::time::{sleep, timeout};
use tokio_util::io::StreamReader;

use super::{
    S3,
    refused::{Refusal, last_cause, refusal},
};
use crate::vault::{Body, Kind, VaultError};

/// A connection that brought so much was worth its while: those that broke before it do not count any more.
const WORTHWHILE: u64 = 1024 * 1024;

/// An object that is being read.
struct Reading {
    s3: S3,
    key: String,
    /// What was read first: the same object, or none.
    etag: Option<String>,
    at: u64,
    end: u64,
    body: ByteStream,
    /// How many connections in a row broke early, and what the present one brought.
    broken: u32,
    brought: u64,
}

impl S3 {
    /// Opens an object at an offset. It is read whole, or the reader fails.
    pub(in crate::vault) async fn open_at(&self, key: &str, at: u64) -> Result<Body, VaultError> {
        let (s3, key) = (self.clone(), key.to_owned());
        let mut reading =
            Reading { s3, key, etag: None, at, end: at, body: ByteStream::default(), broken: 0, brought: 0 };
        if let Err(refused) = reading.ask().await {
            // No range begins where the object ends.
            let ends = refused.status == 416 && self.head(&reading.key).await?.is_some_and(|there| there.bytes == at);
            if !ends {
                return Err(reading.error(refused));
            }
        }
        let pieces = try_unfold(reading, |reading| async { reading.next().await.map_err(io::Error::other) });
        Ok(Box::pin(StreamReader::new(Box::pin(pieces))))
    }
}

impl Reading {
    /// Asks for the bytes from `at` on.
    async fn ask(&mut self) -> Result<(), Refusal> {
        let client = self.s3.client().await;
        let wanted = client.get_object().bucket(&self.s3.options.bucket).key(self.s3.key(&self.key));
        let range = (self.at > 0).then(|| format!("bytes={}-", self.at));
        let got = wanted.set_range(range).set_if_match(self.etag.clone()).send().await;
        let got = got.map_err(|error| refusal(&error))?;
        let end = end(&got, self.at).map_err(Refusal::passing)?;
        // Asked again because not every service heeds If-Match.
        if self.etag.is_some() && (got.e_tag != self.etag || end != self.end) {
            return Err(Refusal::passing(REPLACED));
        }
        (self.etag, self.end, self.body, self.brought) = (got.e_tag, end, got.body, 0);
        Ok(())
    }

    async fn next(mut self) -> Result<Option<(Bytes, Self)>, VaultError> {
        loop {
            let limit = self.s3.limits.stall;
            let broke = match timeout(limit, self.body.next()).await {
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) if bytes.len() as u64 <= self.end - self.at => {
                    self.at += bytes.len() as u64;
                    self.brought += bytes.len() as u64;
                    return Ok(Some((bytes, self)));
                }
                Ok(Some(Ok(_))) => return Err(self.error(Refusal::passing("more bytes come than the object has"))),
                Ok(None) if self.at == self.end => return Ok(None),
                Ok(None) => "the answer ended early".to_owned(),
                // All bytes came, so it is their checksum: to read on would hide that.
                Ok(Some(Err(error))) if self.at == self.end => return Err(self.damaged(&error)),
                Ok(Some(Err(error))) => last_cause(&error),
                Err(_) => format!("nothing came for {} s", limit.as_secs_f64()),
            };
            self.take_up(broke).await?;
        }
    }

    /// Opens it again where it broke.
    async fn take_up(&mut self, mut broke: String) -> Result<(), VaultError> {
        self.body = ByteStream::default();
        if mem::take(&mut self.brought) >= WORTHWHILE {
            self.broken = 0;
        }
        loop {
            self.broken += 1;
            if self.broken >= self.s3.limits.tries {
                let why =
                    format!("broken off {} times, last at byte {} of {}: {broke}", self.broken, self.at, self.end);
                return Err(self.error(Refusal::passing(why)));
            }
            sleep(self.s3.limits.pause_after(self.broken)).await;
            match self.ask().await {
                Ok(()) => return Ok(()),
                Err(refused) if refused.status == 412 => return Err(self.error(Refusal::passing(REPLACED))),
                Err(refused) if refused.kind == Kind::Passing && refused.why != REPLACED => broke = refused.why,
                Err(refused) => return Err(self.error(refused)),
            }
        }
    }

    fn damaged(&self, error: &dyn std::error::Error) -> VaultError {
        let mut refused = Refusal::passing(last_cause(error));
        refused.help = Some("if its SHA-256 is right, the service's checksum is wrong: set checksums = \"none\"");
        self.error(refused)
    }

    fn error(&self, refused: Refusal) -> VaultError {
        self.s3.error("reading", &self.key, refused)
    }
}

const REPLACED: &str = "it was replaced by another object while it was read";

/// Where the object ends, by an answer that must begin at `at`.
fn end(got: &GetObjectOutput, at: u64) -> Result<u64, String> {
    let length = got.content_length.and_then(|length| u64::try_from(length).ok());
    let length = length.ok_or("the answer does not say how many bytes come")?;
    let Some(range) = &got.content_range else {
        return if at == 0 { Ok(length) } else { Err("the service does not answer with a part of an object".into()) };
    };
    let parsed = range.strip_prefix("bytes ").and_then(|range| {
        let (from, rest) = range.split_once('-')?;
        Some((from.parse::<u64>().ok()?, rest.split_once('/')?.1.parse::<u64>().ok()?))
    });
    match parsed {
        Some((from, total)) if from == at && at + length == total => Ok(total),
        _ => Err(format!("bytes from {at} on were wanted, and {length} bytes come as `{range}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_begin_where_it_was_asked_to_and_say_where_it_ends() {
        let got = |length, range: Option<&str>| {
            GetObjectOutput::builder().content_length(length).set_content_range(range.map(str::to_owned)).build()
        };
        assert_eq!(end(&got(10, None), 0), Ok(10));
        assert_eq!(end(&got(6, Some("bytes 4-9/10")), 4), Ok(10));
        assert!(end(&got(10, None), 4).is_err(), "the whole again");
        assert!(end(&got(6, Some("bytes 3-8/10")), 4).is_err(), "from elsewhere");
        assert!(end(&got(5, Some("bytes 4-8/10")), 4).is_err(), "too few");
    }
}
