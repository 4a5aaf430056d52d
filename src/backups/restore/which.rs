//! Which backup somebody means.

use crate::{
    backups::shelf::{Entry, pick, shelf},
    outcome::Failure,
    vault::Vault,
};

/// Finds a backup by its name, the beginning of it, a name of one of its files, or `latest`: the newest that is proven.
///
/// `name` narrows it to backups that are called so; `unproven` also takes what nobody has proven as the latest.
///
/// # Errors
/// When there is none, or more than one is meant; says which there are.
pub async fn which(vault: &Vault, wanted: &str, name: Option<&str>, unproven: bool) -> Result<Entry, Failure> {
    let entries = shelf(vault, name).await?;
    choose(entries, wanted, unproven)
        .map_err(|failure| Failure { why: format!("vault `{}` ({vault}): {}", vault.name(), failure.why), ..failure })
}

/// The newest come first. Pure.
fn choose(mut entries: Vec<Entry>, wanted: &str, unproven: bool) -> Result<Entry, Failure> {
    if wanted == "latest" && !unproven {
        let newest = entries.first().map(|entry| format!("{} ({})", entry.stem, entry.state()));
        entries.retain(Entry::is_proven);
        if let Some(newest) = newest.filter(|_| entries.is_empty()) {
            return Err(Failure::never(format!("no backup is proven; the newest is {newest}"))
                .help("prove it (a job of the kind prove), name it, or add --unproven"));
        }
    }
    pick(entries, beginning(wanted))
}

/// The part of a text that names a backup: without folders before it and what follows a dot or a slash.
fn beginning(text: &str) -> &str {
    let from = text.split_inclusive('/').scan(0, |at, part| {
        let begin = *at;
        *at += part.len();
        Some((begin, part))
    });
    let begin = from.into_iter().find(|(_, part)| part.contains("_backup_")).map_or(0, |(begin, _)| begin);
    let rest = &text[begin..];
    &rest[..rest.find(['.', '/']).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::backups::name::Verdict;

    fn entry(stem: &str, verdict: Option<Verdict>) -> Entry {
        let verdict = verdict.map(|verdict| (Utc::now(), verdict));
        Entry { stem: stem.parse().expect("a stem"), keys: Vec::new(), bytes: 1, verdict, hold: None, modified: None }
    }

    fn two() -> Vec<Entry> {
        vec![
            entry("shop_backup_20260103_020000_0a2b", None),
            entry("shop_backup_20260102_020000_0a1b", Some(Verdict::Proven)),
        ]
    }

    #[test]
    fn latest_is_the_newest_that_is_proven() {
        assert_eq!(choose(two(), "latest", false).expect("one").stem.run, "0a1b");
        assert_eq!(choose(two(), "latest", true).expect("one").stem.run, "0a2b");
        let mut entries = two();
        entries.push(entry("other_backup_20260102_020000_0a1b", Some(Verdict::Proven)));
        assert!(choose(entries, "latest", false).expect_err("which?").why.contains("other, shop"));
        let failed = vec![entry("shop_backup_20260103_020000_0a2b", Some(Verdict::Failed))];
        assert!(choose(failed, "latest", false).expect_err("none").why.contains("(failed)"));
    }

    #[test]
    fn a_file_s_name_and_a_beginning_name_a_backup() {
        for text in [
            "shop_backup_20260102_020000_0a1b",
            "shop_backup_20260102_020000.sql",
            "shop_backup_20260102_020000_0a1b.dump.zst.age",
            "database-backups/shop_backup_20260102_020000_0a1b/toc.dat.zst",
            "s3://bucket/database-backups/metadata/shop_backup_20260102_020000_0a1b.manifest.json",
            "shop_backup_20260102",
        ] {
            assert_eq!(choose(two(), text, false).expect(text).stem.run, "0a1b", "{text}");
        }
        assert!(choose(two(), "shop_backup_2026", false).expect_err("two").why.contains("several"));
        assert!(choose(two(), "nothing", false).is_err());
    }
}
