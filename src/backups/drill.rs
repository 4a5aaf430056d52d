//! Shows that every recipient's identity still opens a backup, one by one: the newest backup itself is the canary.

use super::{
    manifest::Manifest,
    pipe::{Bad, Unpacking},
    seal::Identities,
    work::{Ended, Work},
};
use crate::{outcome::Failure, vault::Vault};

/// An object that is larger is opened at its head alone.
const WHOLE: u64 = 64 * 1024 * 1024;

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drilled {
    /// The recipient, as the manifest names it.
    pub recipient: String,
    /// Why it does not open; nothing: it does.
    pub why: Option<String>,
}

/// Opens the smallest object of a backup with each recipient's identity alone.
///
/// # Errors
/// When it is not sealed, or cannot be read.
pub async fn drill(
    work: &Work<'_>,
    vault: &Vault,
    manifest: &Manifest,
    identities: &Identities,
) -> Result<Vec<Drilled>, Ended> {
    let stem = manifest.stem();
    if manifest.recipients.is_empty() {
        let why = format!("backup {stem} is sealed for nobody, so there is no key to try");
        return Err(Failure::never(why).help("name recipients in the backup's job").into());
    }
    let smallest = manifest.parts.iter().min_by_key(|part| part.bytes);
    let part = smallest.ok_or_else(|| Failure::never(format!("backup {stem} has no object")))?;
    let mut all = Vec::new();
    for (at, recipient) in manifest.recipients.iter().enumerate() {
        work.go_on()?;
        (work.tell)(at as u64, Some(manifest.recipients.len() as u64), "keys", Some(recipient));
        let own = identities.of(recipient);
        let why = if own.is_empty() {
            Some("no identity file that was named is its own".to_owned())
        } else {
            let mut unpacking = Unpacking::start(vault, part, &own).await?;
            let opened = unpacking.next().await.is_some();
            if opened && part.bytes > WHOLE {
                unpacking.give_up();
                None
            } else {
                match unpacking.finish().await {
                    Ok(_) => None,
                    Err(Bad::Closed(failure)) => Some(failure.why),
                    Err(Bad::Passing(failure) | Bad::Stored(failure)) => return Err(failure.into()),
                }
            }
        };
        all.push(Drilled { recipient: recipient.clone(), why });
    }
    Ok(all)
}
