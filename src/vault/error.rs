//! Why a vault refused.

use crate::outcome::{Again, Failure};

/// A call to a vault that did not succeed. Never shows a secret.
#[derive(Debug, thiserror::Error)]
#[error("vault `{vault}`: {what}: {why}")]
pub struct VaultError {
    /// The vault.
    pub vault: String,
    /// What was tried, and where.
    pub what: String,
    /// What came back.
    pub why: String,
    /// What to do about it, where we know.
    pub help: Option<String>,
    /// What it means for the caller.
    pub kind: Kind,
}

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is such an object already.
    Exists,
    /// There is no such object.
    Missing,
    /// It may pass by itself.
    Passing,
    /// A person must change something.
    Refused,
    /// A lock protects it; the error says until when.
    Locked,
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let again = if error.kind == Kind::Passing { Again::Later } else { Again::Never };
        let mut failure = Self::never(error.to_string());
        failure.again = again;
        failure.help = error.help;
        failure
    }
}
