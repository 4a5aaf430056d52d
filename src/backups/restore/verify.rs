//! Whether what was restored is what was dumped.

use std::sync::atomic::{AtomicU64, Ordering};

use super::preview::Checked;
use crate::{
    backups::{
        fingerprint::{self, Fingerprint, Leave, Scope, differences},
        load::Broken,
        manifest::Manifest,
        work::Work,
    },
    db::{Login, failure},
};

/// What comparing found.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) checked: Checked,
    pub(super) differences: Vec<String>,
    pub(super) tables: u64,
    pub(super) rows: i64,
}

/// How it is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    /// The tables whose rows were restored; all without it.
    pub(super) only: Option<&'a [String]>,
    pub(super) leave: Leave,
    /// The sequences that were restored; all without it.
    pub(super) sequences: Option<&'a [String]>,
    /// How many tables are read at a time.
    pub(super) connections: u32,
    /// The server's major.
    pub(super) major: u32,
}

/// Compares a database with the backup's fingerprint.
pub(super) async fn verify(
    work: &Work<'_>,
    login: &Login,
    manifest: &Manifest,
    how: How<'_>,
) -> Result<Verified, Broken> {
    let Some(source) = &manifest.fingerprint else {
        return Ok(Verified { checked: Checked::Nothing, differences: Vec::new(), tables: 0, rows: 0 });
    };
    // Where rows were not restored, none are read.
    let only = if how.leave.rows { Some(&[][..]) } else { how.only };
    let scope = Scope { left_out: &manifest.without_rows_of, only, connections: how.connections.max(1) as usize };
    let (done, total) = (AtomicU64::new(0), only.map_or(source.tables.len(), <[String]>::len) as u64);
    let seen = |table: &str| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        (work.tell)(done, Some(total.max(done)), "tables", Some(&format!("comparing {table}")));
    };
    let looking = async {
        let mut is = fingerprint::fingerprint(login, None, &scope, seen).await?;
        let sequences = fingerprint::sequences(login).await?;
        is.sequences = fingerprint::between(&sequences, &sequences);
        Ok::<_, sqlx::Error>(is)
    };
    let mut is = tokio::select! {
        looked = looking => looked.map_err(|error| Broken::Passing(failure(&error)))?,
        () = work.stop.cancelled() => return Err(Broken::Stopped),
    };
    let (tables, rows) = (is.tables.len() as u64, is.rows());
    let same = manifest.major() == Some(how.major);
    let mut leave = how.leave;
    if !same {
        leave.definitions = true;
        forget_sums(source, &mut is);
    }
    let mut source = source.clone();
    if let Some(restored) = how.sequences {
        source.sequences.retain(|name, _| restored.contains(name));
    }
    let checked = if same { Checked::Exact } else { Checked::Counts };
    Ok(Verified { checked, differences: differences(&source, &is, leave), tables, rows })
}

/// Another major may print a value in another way, so that sums say nothing.
fn forget_sums(source: &Fingerprint, is: &mut Fingerprint) {
    for (name, rows) in &mut is.tables {
        if let Some(was) = source.tables.get(name) {
            rows.sum.clone_from(&was.sum);
        }
    }
    is.large_objects.sum.clone_from(&source.large_objects.sum);
}
