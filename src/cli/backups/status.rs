//! `sexton backups status`: one line a database that says whether its backups would help now.

use std::{collections::BTreeMap, io::Write};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::{place::Place, told, words};
use crate::{
    backups::{
        proof::Proof,
        shelf::{self, Entry},
    },
    cli::{AskError, Cli, exit},
    span::Span,
    vault::Vault,
};

/// Arguments of `backups status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the backups of this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How old the newest proven backup may be, as 25h; older ones make the exit code 1
    #[arg(long, value_name = "SPAN")]
    pub max_age: Option<Span>,
    #[command(flatten)]
    /// Where they are.
    pub place: Place,
}

/// How many proven backups say what is usual.
const LAST: usize = 7;

/// How the backups of one name fare.
struct Fare {
    name: String,
    newest: Entry,
    /// How old what could be restored for sure is.
    rpo: Option<TimeDelta>,
    /// How long restoring took.
    rto: Option<f64>,
    /// The newest one's size to the middle of the last proven ones.
    size: Option<f64>,
    troubles: Vec<String>,
}

pub(super) async fn run(cli: &Cli, args: &Args, out: &mut dyn Write) -> Result<u8, AskError> {
    let vault = args.place.open(cli)?;
    let shelf = shelf::look(&vault, None).await.map_err(told)?;
    let mut names: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in shelf.backups {
        names.entry(entry.stem.name.clone()).or_default().push(entry);
    }
    names.retain(|name, _| args.name.as_ref().is_none_or(|wanted| wanted == name));
    let mut all = Vec::new();
    for (name, entries) in names {
        all.extend(fare(&vault, name, &entries, args.max_age).await?);
    }
    let missing = args.name.as_ref().filter(|_| all.is_empty());
    let bad = missing.is_some() || all.iter().any(|fare| !fare.troubles.is_empty());
    if cli.json {
        let names: Vec<Value> = all.iter().map(as_json).collect();
        let vault = json!({ "name": vault.name(), "bytes": shelf.bytes, "budget": vault.budget() });
        writeln!(out, "{:#}", json!({ "ok": !bad, "vault": vault, "names": names }))?;
    } else {
        let rows: Vec<_> = all.iter().map(row).collect();
        words::table(out, ["name", "newest", "rpo", "rto", "size", "usual", "trouble"], &rows)?;
        if let Some(name) = missing {
            writeln!(out, "there is no backup of {name}")?;
        }
        let of = vault.budget().filter(|budget| *budget > 0).map(|budget| {
            let share = shelf.bytes as f64 * 100.0 / budget as f64;
            format!(", {share:.0} % of its budget of {}", words::size(budget))
        });
        writeln!(out, "vault {} has {}{}", vault.name(), words::size(shelf.bytes), of.unwrap_or_default())?;
    }
    Ok(if bad { exit::ERROR } else { exit::DONE })
}

async fn fare(vault: &Vault, name: String, entries: &[Entry], max_age: Option<Span>) -> Result<Option<Fare>, AskError> {
    let Some(newest) = entries.first() else { return Ok(None) };
    let mut proven = entries.iter().filter(|entry| entry.is_proven());
    let last = proven.next();
    let rpo = last.map(|entry| Utc::now() - entry.stem.taken_at);
    let rto = match last {
        Some(entry) => Proof::newest(vault, &entry.keys).await.map_err(told)?.and_then(|proof| proof.restore_seconds),
        None => None,
    };
    let others = entries.iter().filter(|entry| entry.is_proven() && entry.stem != newest.stem).take(LAST);
    let mut sizes: Vec<u64> = others.map(|entry| entry.bytes).collect();
    sizes.sort_unstable();
    let middle = sizes.get(sizes.len() / 2).copied().filter(|bytes| *bytes > 0);
    let mut troubles = Vec::new();
    match rpo {
        None => troubles.push("none is proven".to_owned()),
        Some(age) => {
            if let Some(most) = max_age.filter(|most| age.to_std().is_ok_and(|age| age > most.0)) {
                troubles.push(format!("the newest proven one is older than {most}"));
            }
            if !newest.is_proven() {
                troubles.push(format!("the newest one is {}", newest.state()));
            }
        }
    }
    let size = middle.map(|middle| newest.bytes as f64 / middle as f64);
    Ok(Some(Fare { name, newest: newest.clone(), rpo, rto, size, troubles }))
}

fn row(fare: &Fare) -> [String; 7] {
    let age = words::age(Utc::now() - fare.newest.stem.taken_at);
    [
        fare.name.clone(),
        format!("{age} ago, {}", fare.newest.state()),
        fare.rpo.map_or("never".to_owned(), words::age),
        fare.rto.map(words::seconds).unwrap_or_default(),
        words::size(fare.newest.bytes),
        fare.size.map(|ratio| format!("{:.0} %", ratio * 100.0)).unwrap_or_default(),
        fare.troubles.join("; "),
    ]
}

fn as_json(fare: &Fare) -> Value {
    json!({
        "name": fare.name,
        "newest": fare.newest.stem.to_string(),
        "state": fare.newest.state(),
        "rpo_seconds": fare.rpo.map(|age| age.num_seconds()),
        "rto_seconds": fare.rto,
        "bytes": fare.newest.bytes,
        "size_vs_usual": fare.size,
        "troubles": fare.troubles,
    })
}
