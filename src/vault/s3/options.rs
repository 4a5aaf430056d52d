//! Where a bucket is and how to use it.

use aws_sdk_s3::types::{ChecksumAlgorithm, ServerSideEncryption, StorageClass};

use crate::secret::Secret;

/// Where a bucket is and how to use it.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// What all keys start with, without a `/` at its ends; may be empty.
    pub prefix: String,
    /// The region; without it, the one that the AWS SDK finds, else `us-east-1`.
    pub region: Option<String>,
    /// The URL of a service that is not AWS.
    pub endpoint: Option<String>,
    /// Whether the bucket is in the path and not in the host name.
    pub path_style: bool,
    /// Key id and secret; without them, the credentials that the AWS SDK finds.
    pub credentials: Option<(Secret, Secret)>,
    /// `STANDARD_IA` and the like.
    pub storage_class: Option<String>,
    /// How the service encrypts what it stores: `AES256` or `aws:kms`; without it, as the bucket says.
    pub sse: Option<String>,
    /// The key of `aws:kms`; without it, the account's own.
    pub kms_key_id: Option<String>,
    /// The checksums that objects carry; without it, SHA-256 on AWS and none elsewhere.
    pub checksums: Option<Checksums>,
}

/// What the service checks of the bytes that it gets, beside the signature, which covers them anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// SHA-256 of each part.
    Sha256,
    /// CRC-64/NVME of each part, and of the whole object.
    Crc64,
    /// Nothing: not every service knows checksums.
    None,
}

impl S3Options {
    pub(super) fn checksums(&self) -> Checksums {
        let usual = if self.endpoint.is_none() { Checksums::Sha256 } else { Checksums::None };
        self.checksums.unwrap_or(usual)
    }

    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        self.storage_class.as_deref().map(StorageClass::from)
    }

    pub(super) fn sse(&self) -> Option<ServerSideEncryption> {
        self.sse.as_deref().map(ServerSideEncryption::from)
    }
}

impl Checksums {
    pub(super) fn algorithm(self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::Sha256 => Some(ChecksumAlgorithm::Sha256),
            Self::Crc64 => Some(ChecksumAlgorithm::Crc64Nvme),
            Self::None => None,
        }
    }
}
