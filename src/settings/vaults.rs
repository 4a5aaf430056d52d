//! The keys of `[vaults.NAME]`.

use std::str::FromStr;

use super::{
    Checksums, S3, Vault, VaultPlace,
    read::{Reader, Table},
};
use crate::expect;

pub(super) fn vault(reader: &mut Reader<'_>, mut table: Table) -> Option<Vault> {
    let dir = reader.path(&mut table, "dir").map(VaultPlace::Dir);
    let mut inner = reader.table(&mut table, "s3");
    let s3 = if inner.written { Some(VaultPlace::S3(Box::new(s3(reader, &mut inner)))) } else { None };
    reader.end(inner);
    if dir.is_some() == s3.is_some() {
        let message = "must have exactly one of `s3` and `dir`";
        reader.problem(&table, "", message, "write s3 = { bucket = \"…\" } or dir = \"/path\"");
    }
    let budget = reader.parsed::<Size>(&mut table, "budget").map(|size| size.0);
    let bandwidth = reader.parsed::<Rate>(&mut table, "bandwidth").map(|rate| rate.0);
    reader.end(table);
    Some(Vault { place: dir.or(s3)?, budget, bandwidth })
}

fn s3(reader: &mut Reader<'_>, table: &mut Table) -> S3 {
    let s3 = S3 {
        bucket: reader.needed(table, "bucket", "my-backups"),
        prefix: reader.text(table, "prefix").map(|prefix| prefix.trim_matches('/').to_owned()).unwrap_or_default(),
        region: reader.text(table, "region"),
        endpoint: reader.text(table, "endpoint"),
        path_style: reader.flag(table, "path_style").unwrap_or(false),
        access_key_id: reader.secret(table, "access_key_id", "access_key_id_file"),
        secret_access_key: reader.secret(table, "secret_access_key", "secret_access_key_file"),
        storage_class: reader.text(table, "storage_class"),
        sse: reader.text(table, "sse"),
        kms_key_id: reader.text(table, "kms_key_id"),
        checksums: checksums(reader, table),
    };
    if s3.access_key_id.is_some() != s3.secret_access_key.is_some() {
        let message = "`access_key_id` and `secret_access_key` belong together";
        reader.problem(table, "", message, "set both, or none to use the credentials that the AWS SDK finds");
    }
    if s3.sse.as_deref().is_some_and(|sse| !["AES256", "aws:kms"].contains(&sse)) {
        reader.problem(table, "sse", "must be `AES256` or `aws:kms`", "write sse = \"AES256\"");
    }
    if s3.kms_key_id.is_some() && s3.sse.as_deref() != Some("aws:kms") {
        let message = "is only used with sse = \"aws:kms\"";
        reader.problem(table, "kms_key_id", message, "write sse = \"aws:kms\", or leave the key out");
    }
    s3
}

fn checksums(reader: &mut Reader<'_>, table: &mut Table) -> Option<Checksums> {
    match reader.text(table, "checksums")?.as_str() {
        "sha256" => Some(Checksums::Sha256),
        "crc64" => Some(Checksums::Crc64),
        "none" => Some(Checksums::None),
        _ => {
            let help = "leave it out: then it is `sha256` on AWS, and `none` with an endpoint of your own";
            reader.problem(table, "checksums", "must be `sha256`, `crc64` or `none`", help);
            None
        }
    }
}

/// `500 GiB`.
struct Size(u64);

/// `20 MiB/s`.
struct Rate(u64);

/// Bytes of a size that is at least one, and whole.
fn bytes(text: &str) -> Option<u64> {
    let bytes = expect::size(text.trim())?;
    (1.0..9e18).contains(&bytes).then_some(bytes as u64)
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("`{text}` is not a size (write a number and a unit: `500 GiB`, `2 TB`)");
        bytes(text).map(Self).ok_or_else(fail)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("`{text}` is not a bandwidth (write a size a second: `20 MiB/s`)");
        text.trim().strip_suffix("/s").and_then(bytes).map(Self).ok_or_else(fail)
    }
}
