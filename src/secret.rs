//! A text that must never be seen: it prints as `[hidden]` and cannot be serialized.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer};

/// A password, token or URL with a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// A secret, and the file that it was read from: what rotates it writes a new one there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// As it was when it was read.
    pub secret: Secret,
    /// Where to read it again; `None` for one that is written inline.
    pub file: Option<PathBuf>,
}

impl Kept {
    /// One that never changes.
    pub fn inline(secret: Secret) -> Self {
        Self { secret, file: None }
    }

    /// What a file with a secret says: all but the line's end; `None` where it is empty, as one that is being written.
    pub fn read(text: &str) -> Option<Secret> {
        if text.trim().is_empty() { None } else { Some(Secret::new(text.trim_end_matches(['\n', '\r']))) }
    }
}
