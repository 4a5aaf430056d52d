//! Whether a backup could be taken and proven now: looked at before its time comes, not in it.

use std::path::Path;

use super::{
    scratch::free,
    source::{self, Facts},
    work::Work,
};
use crate::{db::Target, embedded, outcome::Failure, vault::Vault};

/// What a backup will need.
#[derive(Debug)]
pub struct Needs<'a> {
    /// The database.
    pub target: &'a Target,
    /// Where it goes.
    pub vault: &'a Vault,
    /// Whether `pg_dumpall` is needed.
    pub globals: bool,
    /// Where scratch folders are made, and how much a dump may take there, if it goes by way of one.
    pub dump_scratch: Option<(&'a Path, Option<u64>)>,
    /// How it is proven, if it is.
    pub proof: Option<Proof<'a>>,
}

/// What its proof will need.
#[derive(Debug)]
pub enum Proof<'a> {
    /// A throw-away server here, whose copy takes at most this much of the scratch folder.
    ThrowAway(&'a Path, Option<u64>),
    /// A named server.
    On(&'a Target),
}

/// Looks at everything that a backup needs.
///
/// # Errors
/// Says what is missing, where, and what to install.
pub async fn ready(work: &Work<'_>, needs: &Needs<'_>) -> Result<(), Failure> {
    let facts = source::look(needs.target, work).await?;
    if needs.globals {
        facts.tools.sibling("pg_dumpall")?;
    }
    needs.vault.reachable().await?;
    let bytes = facts.source.database_bytes;
    if let Some((scratch, budget)) = needs.dump_scratch {
        room("a parallel dump", scratch, bytes, budget)?;
    }
    match &needs.proof {
        None => {}
        Some(Proof::On(target)) => {
            source::look(target, work).await?;
        }
        Some(Proof::ThrowAway(scratch, budget)) => {
            server(work, &facts).await?;
            facts.tools.sibling("psql")?;
            room("the copy of a proof", scratch, budget.map_or(bytes, |budget| bytes.min(budget)), None)?;
        }
    }
    Ok(())
}

/// Whether server programs of the database's major are here.
async fn server(work: &Work<'_>, facts: &Facts) -> Result<(), Failure> {
    let found = embedded::find(Path::new("/nonexistent"), work.spawner).await;
    let found = found.and_then(|found| embedded::of_major(found, facts.tools.major));
    found.map(drop).map_err(|error| error.failure("a proof needs a throw-away server"))
}

fn room(what: &str, scratch: &Path, needed: u64, budget: Option<u64>) -> Result<(), Failure> {
    let at = scratch.display();
    let free = free(scratch).map_err(|error| {
        Failure::never(format!("the scratch folder {at} cannot be used: {error}"))
            .help("name a folder that the daemon's user may write to as `scratch`")
    })?;
    let room = budget.map_or(free, |budget| free.min(budget));
    if room >= needed {
        return Ok(());
    }
    Err(Failure::never(format!("{what} takes some {needed} bytes, and {at} has room for {room}"))
        .help("make room, name another `scratch` folder, or set proof.budget to prove a part each time"))
}
