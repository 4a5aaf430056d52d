//! What an S3 service said no to, in words for the person who will fix it.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::{
    causes::with_causes,
    vault::{Kind, VaultError},
};

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: Kind,
    /// Whether the service does not know such a call.
    pub(super) unsupported: bool,
    /// The HTTP status; 0 without an answer.
    pub(super) status: u16,
    pub(super) why: String,
    pub(super) help: Option<&'static str>,
}

impl Refusal {
    pub(super) fn passing(why: impl Into<String>) -> Self {
        Self { kind: Kind::Passing, unsupported: false, status: 0, why: why.into(), help: None }
    }

    pub(super) fn exists() -> Self {
        let why = "there is an object of this name already".to_owned();
        Self { kind: Kind::Exists, unsupported: false, status: 0, why, help: None }
    }

    pub(super) fn error(self, vault: &str, doing: &str, bucket: &str, key: &str) -> VaultError {
        VaultError {
            vault: vault.to_owned(),
            what: format!("{doing} s3://{bucket}/{key}"),
            why: self.why,
            help: self.help.map(str::to_owned),
            kind: self.kind,
        }
    }
}

/// Reads the SDK's error: the service's own words, or how it could not be reached.
pub(super) fn refusal<E>(error: &SdkError<E>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let Some(service) = error.as_service_error() else { return unreached(error) };
    let code = service.code().unwrap_or_default();
    let message = service.message().unwrap_or("no message");
    let status = status.unwrap_or_default();
    let why = match code {
        "" if status == 200 => format!("the answer is not understood: {}", last_cause(service)),
        "" => format!("HTTP status {status}"),
        code => format!("{code}: {message} ({status})"),
    };
    let (kind, help) = match (code, status) {
        ("NoSuchBucket", _) => (Kind::Refused, Some("create the bucket, or correct `bucket` in sexton.toml")),
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "AuthorizationHeaderMalformed",
            _,
        ) => (Kind::Refused, Some("check the vault's access key, secret and region in sexton.toml")),
        ("PermanentRedirect", _) | (_, 301) => {
            (Kind::Refused, Some("the bucket is in another region: correct `region` in sexton.toml"))
        }
        ("PreconditionFailed", _) | (_, 412) => (Kind::Exists, None),
        ("NoSuchKey" | "NoSuchUpload" | "NotFound", _) | (_, 404) => (Kind::Missing, None),
        ("InvalidObjectState", _) => {
            (Kind::Refused, Some("bring it back from its storage class first: aws s3api restore-object"))
        }
        ("AccessDenied", _) | (_, 401 | 403) => {
            let help = "allow the vault's user s3:PutObject, GetObject, DeleteObject, ListBucket, \
                        ListBucketMultipartUploads and AbortMultipartUpload on the bucket and its prefix; to erase \
                        and to lock also ListBucketVersions, DeleteObjectVersion, GetBucketObjectLockConfiguration, \
                        GetObjectRetention and PutObjectRetention";
            (Kind::Refused, Some(help))
        }
        // The end of a large upload can be an error although its status says OK.
        ("InternalError" | "SlowDown" | "ServiceUnavailable" | "RequestTimeout", _) | (_, 200 | 408 | 429 | 500..) => {
            (Kind::Passing, None)
        }
        _ => (Kind::Refused, None),
    };
    let unsupported = code == "NotImplemented" || matches!(status, 405 | 501);
    Refusal { kind, unsupported, status, why, help }
}

/// The last cause of an error, which says most.
pub(super) fn last_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// No answer of the service: it was not reached, or there was nothing to sign the request with.
fn unreached<E>(error: &SdkError<E>) -> Refusal
where
    E: std::error::Error + 'static,
{
    let why = with_causes(error);
    let (kind, help) = match error {
        _ if why.to_lowercase().contains("credential") => {
            (Kind::Refused, "set access_key_id and secret_access_key of the vault, or give the daemon a role")
        }
        SdkError::ConstructionFailure(_) => (Kind::Refused, "check the vault's endpoint, region and bucket"),
        _ => (Kind::Passing, "check the vault's endpoint and that this daemon may reach it"),
    };
    Refusal { kind, unsupported: false, status: 0, why, help: Some(help) }
}
