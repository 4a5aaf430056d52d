//! The vaults of a daemon, by their names.

use std::{collections::BTreeMap, sync::Arc};

use super::Vault;

/// All vaults that the settings name.
#[derive(Debug, Clone, Default)]
pub struct Vaults(Arc<BTreeMap<String, Arc<Vault>>>);

/// A name that the settings do not have.
#[derive(Debug, thiserror::Error)]
#[error("no vault `{name}` in the settings of this daemon; it has: {known}")]
pub struct UnknownVault {
    name: String,
    known: String,
}

impl Vaults {
    /// Collects vaults by their names.
    pub fn new(vaults: impl IntoIterator<Item = Vault>) -> Self {
        Self(Arc::new(vaults.into_iter().map(|vault| (vault.name.clone(), Arc::new(vault))).collect()))
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Result<&Arc<Vault>, UnknownVault> {
        self.0.get(name).ok_or_else(|| UnknownVault {
            name: name.to_owned(),
            known: if self.0.is_empty() {
                "none".to_owned()
            } else {
                self.0.keys().cloned().collect::<Vec<_>>().join(", ")
            },
        })
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vault>> {
        self.0.values()
    }
}
