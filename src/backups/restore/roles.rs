//! The roles that a restore needs and a server lacks, made from a backup's globals. Nothing that is there is changed.

use std::collections::BTreeSet;

use super::script::{statements, words};

/// The statements of a globals script that make these roles, and nothing else.
pub(super) fn making(globals: &str, missing: &BTreeSet<String>) -> (Vec<String>, BTreeSet<String>) {
    let mut made = BTreeSet::new();
    let mut chosen = Vec::new();
    for statement in statements(globals) {
        let words = words(statement);
        let named = |at: usize| words.get(at).map(|word| word.plain()).filter(|name| missing.contains(name));
        let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word.is(text));
        let text = || words_of(statement);
        match words.first() {
            Some(word) if word.is("CREATE") && is(1, "ROLE") => {
                if let Some(name) = named(2) {
                    made.insert(name);
                    chosen.push(text());
                }
            }
            // `ALTER ROLE x IN DATABASE y`: the manifest has these.
            Some(word) if word.is("ALTER") && is(1, "ROLE") && named(2).is_some() && !is(3, "IN") => {
                chosen.push(text())
            }
            // `GRANT a TO x …`: memberships of what is made. Who granted it may not be here.
            Some(word) if word.is("GRANT") && is(2, "TO") && named(3).is_some() => {
                let by = statement.rfind(" GRANTED BY ").unwrap_or(statement.len());
                chosen.push(words_of(&statement[..by]));
            }
            _ => {}
        }
    }
    (chosen, made)
}

/// A statement without the comments and psql's commands before it.
fn words_of(statement: &str) -> String {
    let skip = |line: &&str| {
        let line = line.trim_start();
        line.is_empty() || line.starts_with("--") || line.starts_with('\\')
    };
    statement.lines().skip_while(skip).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_made() {
        let sql = "\\restrict x\n--\n-- Roles\n--\n\nCREATE ROLE app;\nALTER ROLE app WITH LOGIN;\nCREATE ROLE \"Odd Role\";\n\
                   ALTER ROLE \"Odd Role\" WITH NOLOGIN PASSWORD 'SCRAM;x';\nGRANT app TO \"Odd Role\" WITH INHERIT TRUE GRANTED BY boss;\n\
                   GRANT \"Odd Role\" TO app;\nALTER ROLE \"Odd Role\" IN DATABASE x SET a TO 'b';\n";
        let (made, names) = making(sql, &["Odd Role".to_owned(), "gone".to_owned()].into());
        assert_eq!(names, ["Odd Role".to_owned()].into());
        assert_eq!(
            made,
            [
                "CREATE ROLE \"Odd Role\"",
                "ALTER ROLE \"Odd Role\" WITH NOLOGIN PASSWORD 'SCRAM;x'",
                "GRANT app TO \"Odd Role\" WITH INHERIT TRUE"
            ]
        );
    }
}
