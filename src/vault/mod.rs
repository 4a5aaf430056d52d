//! Where backups live: an S3 bucket or a directory.

use std::{collections::BTreeMap, sync::Arc};

/// One named place for objects.
#[derive(Debug)]
pub struct Vault {}

/// All vaults that the settings name.
#[derive(Debug, Clone, Default)]
pub struct Vaults(Arc<BTreeMap<String, Arc<Vault>>>);
