//! What a backup is called, and which objects in a vault belong to it.
//!
//! ```text
//! NAME_backup_YYYYMMDD_HHMMSS_RUN.dump.zst[.age]            the dump, in one stream
//! NAME_backup_YYYYMMDD_HHMMSS_RUN/FILE.zst[.age]            or one object a file, of a parallel dump
//! NAME_backup_YYYYMMDD_HHMMSS_RUN.globals.sql.zst[.age]     roles and other globals
//! metadata/STEM.manifest.json                               what makes it a backup, written last
//! metadata/STEM.proof-YYYYMMDDHHMMSSmmm-RUN-VERDICT.json       one for each look; the newest counts
//! metadata/STEM.hold.json                                   while somebody holds it
//! ```

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDateTime, Utc};
use uuid::Uuid;

/// Where everything beside dumps is.
pub const METADATA: &str = "metadata/";

/// One backup's name: the beginning of all its keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stem {
    /// What is backed up.
    pub name: String,
    /// When its dump was begun, to the second.
    pub taken_at: DateTime<Utc>,
    /// Twelve hex digits of the run that made it, so that names never collide.
    pub run: String,
}

/// A text that is no backup's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a backup's name (NAME_backup_YYYYMMDD_HHMMSS_RUN)")]
pub struct NoStem(String);

impl Stem {
    /// The name of a backup that this run takes now.
    pub fn new(name: &str, at: DateTime<Utc>, run: Uuid) -> Self {
        let at = DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at);
        Self { name: name.to_owned(), taken_at: at, run: suffix(run) }
    }

    /// The backup that an object belongs to, and what follows its name in the key; `None` for what is no backup's.
    pub fn of_key(key: &str) -> Option<(Self, &str)> {
        let inside = key.strip_prefix(METADATA).unwrap_or(key);
        let end = inside.find(['.', '/']).unwrap_or(inside.len());
        let (stem, rest) = inside.split_at(end);
        Some((stem.parse().ok()?, rest))
    }

    /// The key of the dump, where it is one stream.
    pub fn dump(&self, sealed: bool) -> String {
        format!("{self}.dump.zst{}", age(sealed))
    }

    /// The key of one file of a parallel dump.
    pub fn file(&self, file: &str, sealed: bool) -> String {
        format!("{self}/{file}.zst{}", age(sealed))
    }

    /// The key of the globals.
    pub fn globals(&self, sealed: bool) -> String {
        format!("{self}.globals.sql.zst{}", age(sealed))
    }

    /// The key of the manifest.
    pub fn manifest(&self) -> String {
        format!("{METADATA}{self}.manifest.json")
    }

    /// The key of what one look found.
    pub fn proof(&self, at: DateTime<Utc>, run: Uuid, verdict: Verdict) -> String {
        format!("{METADATA}{self}.proof-{}-{}-{verdict}.json", at.format("%Y%m%d%H%M%S%3f"), suffix(run))
    }

    /// The key of its hold.
    pub fn hold(&self) -> String {
        format!("{METADATA}{self}.hold.json")
    }
}

/// What follows a backup's name in the keys beside its dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The manifest.
    Manifest,
    /// What a look found, and when it was.
    Proof(DateTime<Utc>, Verdict),
    /// A hold.
    Hold,
}

impl Beside {
    /// Reads it; `None` for what is none of these, dumps among it.
    pub fn of_rest(rest: &str) -> Option<Self> {
        match rest {
            ".manifest.json" => return Some(Self::Manifest),
            ".hold.json" => return Some(Self::Hold),
            _ => {}
        }
        let mut parts = rest.strip_prefix(".proof-")?.strip_suffix(".json")?.splitn(3, '-');
        let at = NaiveDateTime::parse_from_str(parts.next()?, "%Y%m%d%H%M%S%3f").ok()?.and_utc();
        Some(Self::Proof(at, parts.nth(1)?.parse().ok()?))
    }
}

/// What a look at a backup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Restored, and equal to its fingerprint in every table.
    Proven,
    /// Restored in part, and equal there: too large to be restored whole within its budget.
    Sampled,
    /// Read back whole and unchanged, but it could not be restored here.
    Verified,
    /// Not what it should be.
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proven => "proven",
            Self::Sampled => "sampled",
            Self::Verified => "verified",
            Self::Failed => "failed",
        })
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Proven, Self::Sampled, Self::Verified, Self::Failed]
            .into_iter()
            .find(|verdict| verdict.to_string() == text)
            .ok_or(())
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_backup_{}_{}", self.name, self.taken_at.format("%Y%m%d_%H%M%S"), self.run)
    }
}

impl FromStr for Stem {
    type Err = NoStem;

    fn from_str(text: &str) -> Result<Self, NoStem> {
        let read = || {
            // A name may itself have `_backup_` in it: the last one counts.
            let (name, rest) = text.rsplit_once("_backup_")?;
            let (at, run) = rest.split_at_checked(15)?;
            let run = run.strip_prefix('_')?;
            let whole = !name.is_empty() && !run.is_empty() && run.chars().all(|c| c.is_ascii_hexdigit());
            let at = NaiveDateTime::parse_from_str(at, "%Y%m%d_%H%M%S").ok().filter(|_| whole)?.and_utc();
            Some(Self { name: name.to_owned(), taken_at: at, run: run.to_owned() })
        };
        read().ok_or_else(|| NoStem(text.to_owned()))
    }
}

/// The end of every name of a run's.
pub fn suffix(run: Uuid) -> String {
    // The first half of a UUIDv7 is its time, which the name has already.
    run.simple().to_string()[20..].to_owned()
}

/// A name that is safe as the beginning of a key.
pub fn tame(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    name.chars().map(keep).collect()
}

fn age(sealed: bool) -> &'static str {
    if sealed { ".age" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_called_by_name_time_and_run() {
        let run = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").expect("a UUID");
        let at = DateTime::from_timestamp(1_700_000_000, 5).expect("a time");
        let stem = Stem::new("shop", at, run);
        assert_eq!(stem.dump(false), "shop_backup_20231114_221320_b302099a8057.dump.zst");
        for key in [stem.dump(true), stem.file("toc.dat", true), stem.globals(false), stem.manifest(), stem.hold()] {
            assert_eq!(Stem::of_key(&key).map(|(of, _)| of), Some(stem.clone()), "{key}");
        }
        let key = stem.proof(at, run, Verdict::Sampled);
        let rest = Stem::of_key(&key).expect("a backup's").1;
        assert_eq!(Beside::of_rest(rest), Some(Beside::Proof(stem.taken_at, Verdict::Sampled)));
        assert_eq!(Beside::of_rest(Stem::of_key(&stem.dump(true)).expect("a backup's").1), None);
    }

    #[test]
    fn what_is_no_backup_has_no_name() {
        for key in ["shop_backup_20261302_030405_0a1b.dump.zst", "shop_backup_20260102.sql", "x", ""] {
            assert_eq!(Stem::of_key(key), None, "{key}");
        }
        let nested = Stem::of_key("a_backup_b_backup_20260102_030405_0a1b.dump.zst").expect("a name").0;
        assert_eq!(nested.name, "a_backup_b");
    }
}
