//! An object of a bucket in the making: a multipart upload, and how it ends.

use std::{collections::HashMap, mem};

use aws_sdk_s3::types::{ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::{task::JoinSet, time::timeout};

use super::{
    Checksums, S3,
    part::{Place, in_flight, part_size},
    refused::{Refusal, refusal},
};
use crate::vault::{Kind, VaultError};

/// The mark that an object carries of the upload that made it, so that an upload knows its own when an answer was lost.
const MARK: &str = "sexton-upload";

/// An upload in the making.
#[derive(Debug)]
pub(in crate::vault) struct Writing {
    at: Place,
    mark: String,
    estimate: u64,
    buffer: Vec<u8>,
    sent: u64,
    next: i32,
    flying: JoinSet<Result<CompletedPart, VaultError>>,
    parts: Vec<CompletedPart>,
    ended: bool,
}

/// What is found under the object's name.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Just what was sent.
    Whole,
    /// What this upload made, but not of the right size.
    Wrong(u64),
    /// What somebody else made.
    Foreign,
    Nothing,
}

impl S3 {
    pub(in crate::vault) async fn create(&self, key: &str, estimate: u64) -> Result<Writing, VaultError> {
        // Told before the work and not only after it.
        if self.head(key).await?.is_some() {
            return Err(self.error("beginning", key, Refusal::exists()));
        }
        let mark = uuid::Uuid::now_v7().simple().to_string();
        let checksums = self.options.checksums();
        let begun = self
            .client()
            .await
            .create_multipart_upload()
            .bucket(&self.options.bucket)
            .key(self.key(key))
            .content_type("application/octet-stream")
            .metadata(MARK, &mark)
            .set_storage_class(self.options.storage_class())
            .set_server_side_encryption(self.options.sse())
            .set_ssekms_key_id(self.options.kms_key_id.clone())
            .set_checksum_algorithm(checksums.algorithm())
            .set_checksum_type((checksums == Checksums::Crc64).then_some(ChecksumType::FullObject))
            .send()
            .await
            .map_err(|error| self.error("beginning", key, refusal(&error)))?;
        let Some(upload) = begun.upload_id else {
            return Err(self.error("beginning", key, Refusal::passing("the answer has no upload id")));
        };
        let at = Place { s3: self.clone(), key: key.to_owned(), upload };
        let (buffer, flying, parts) = (Vec::new(), JoinSet::new(), Vec::new());
        Ok(Writing { at, mark, estimate, buffer, sent: 0, next: 1, flying, parts, ended: false })
    }
}

impl Writing {
    pub(in crate::vault) async fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), VaultError> {
        for piece in pieces {
            let mut bytes = &*piece;
            while !bytes.is_empty() {
                let size = part_size(self.at.s3.limits.part, self.estimate, self.sent, self.next);
                if self.buffer.capacity() == 0 {
                    self.buffer.reserve_exact(size);
                }
                let (now, later) = bytes.split_at(bytes.len().min(size.saturating_sub(self.buffer.len())));
                // The one copy: a part is signed, and sent again, as one piece.
                self.buffer.extend_from_slice(now);
                bytes = later;
                if self.buffer.len() >= size {
                    self.send(in_flight(size)).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends the buffer as the next part, once fewer than `most` are in flight.
    async fn send(&mut self, most: usize) -> Result<(), VaultError> {
        while self.flying.len() >= most {
            self.landed().await?;
        }
        let (number, bytes) = (self.next, mem::take(&mut self.buffer));
        self.next += 1;
        self.sent += bytes.len() as u64;
        self.flying.spawn(self.at.clone().send(number, bytes.into()));
        Ok(())
    }

    async fn landed(&mut self) -> Result<(), VaultError> {
        match self.flying.join_next().await {
            None => {}
            Some(Ok(part)) => self.parts.push(part?),
            Some(Err(panic)) => return Err(self.at.error("writing", Refusal::passing(panic.to_string()))),
        }
        Ok(())
    }

    pub(in crate::vault) async fn finish(mut self, bytes: u64) -> Result<(), VaultError> {
        let Err(error) = self.complete(bytes).await else {
            self.ended = true;
            return Ok(());
        };
        // What the caller is told is why it failed; a leftover is swept later.
        let _ = self.give_up().await;
        // The service may have gone on after its answer was lost; given up, it cannot any more.
        match self.found(bytes, false).await {
            Ok(Found::Whole) => Ok(()),
            Ok(Found::Wrong(_)) => {
                let _ = self.at.s3.remove(&self.at.key, None).await;
                Err(error)
            }
            _ => Err(error),
        }
    }

    async fn complete(&mut self, bytes: u64) -> Result<(), VaultError> {
        // An object without bytes has one part without bytes.
        if !self.buffer.is_empty() || self.next == 1 {
            self.send(1).await?;
        }
        while !self.flying.is_empty() {
            self.landed().await?;
        }
        self.parts.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(mem::take(&mut self.parts))).build();
        let s3 = &self.at.s3;
        let end = s3
            .client()
            .await
            .complete_multipart_upload()
            .bucket(&s3.options.bucket)
            .key(s3.key(&self.at.key))
            .upload_id(&self.at.upload)
            .multipart_upload(parts);
        let mut completed = end.clone().if_none_match("*").send().await.map_err(|error| refusal(&error));
        // Not every service knows the condition; then it was only looked beforehand.
        if completed.as_ref().is_err_and(|refused| refused.unsupported) {
            completed = end.send().await.map_err(|error| refusal(&error));
        }
        let completed = completed.map(drop).map_err(|refused| self.at.error("finishing", refused));
        // Whatever the answer (it may have been lost, or lie), what is there decides.
        let passing = |why: String| Err(self.at.error("finishing", Refusal::passing(why)));
        match (self.found(bytes, completed.is_ok()).await, completed) {
            (Ok(Found::Whole), _) => Ok(()),
            (Ok(Found::Wrong(there)), _) => {
                let removed = self.at.s3.remove(&self.at.key, None).await;
                let left = if removed.is_err() { ", and could not be removed" } else { "" };
                passing(format!("{there} bytes are there, {bytes} were sent{left}"))
            }
            (_, Err(error)) | (Err(error), Ok(())) => Err(error),
            (Ok(Found::Foreign), Ok(())) => Err(self.at.error("finishing", Refusal::exists())),
            (Ok(Found::Nothing), Ok(())) => passing("the service says that it is done, but nothing is there".into()),
        }
    }

    async fn found(&self, bytes: u64, completed: bool) -> Result<Found, VaultError> {
        let s3 = &self.at.s3;
        let seen = s3.client().await.head_object().bucket(&s3.options.bucket).key(s3.key(&self.at.key)).send().await;
        match seen.map_err(|error| refusal(&error)) {
            Ok(seen) => {
                let there = seen.content_length.map_or(0, i64::unsigned_abs);
                Ok(found(there, seen.metadata.as_ref(), &self.mark, bytes, completed))
            }
            Err(refused) if refused.kind == Kind::Missing => Ok(Found::Nothing),
            Err(refused) => Err(self.at.error("looking at", refused)),
        }
    }

    pub(in crate::vault) async fn abort(mut self) -> Result<(), VaultError> {
        self.give_up().await
    }

    async fn give_up(&mut self) -> Result<(), VaultError> {
        self.ended = true;
        // A part that lands after the abort would stay for ever.
        self.flying.shutdown().await;
        let Place { s3, key, upload } = &self.at;
        s3.abort(&s3.key(key), upload).await
    }
}

/// What it is that is there. A service that drops the mark is believed when it says that it is done.
fn found(there: u64, metadata: Option<&HashMap<String, String>>, mark: &str, bytes: u64, completed: bool) -> Found {
    let own = match metadata.and_then(|metadata| metadata.get(MARK)) {
        Some(found) => found == mark,
        None => completed,
    };
    match own {
        false => Found::Foreign,
        true if there == bytes => Found::Whole,
        true => Found::Wrong(there),
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.flying.abort_all();
        // What cannot be given up now is swept by the run's next attempt.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let Place { s3, key, upload } = self.at.clone();
            runtime.spawn(async move { timeout(s3.limits.attempt, s3.abort(&s3.key(&key), &upload)).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mark_tells_whose_an_object_is_when_the_answer_was_lost() {
        let marked = |mark: &str| Some(HashMap::from([(MARK.to_owned(), mark.to_owned())]));
        let found =
            |there, mark: Option<&str>, completed| found(there, mark.and_then(marked).as_ref(), "mine", 10, completed);
        assert_eq!(found(10, Some("mine"), false), Found::Whole);
        assert_eq!(found(9, Some("mine"), true), Found::Wrong(9));
        assert_eq!(found(10, Some("theirs"), true), Found::Foreign);
        assert_eq!(found(10, None, false), Found::Foreign);
        assert_eq!(found(10, None, true), Found::Whole);
    }
}
