//! A part of a dump: the definitions of everything, and the rows of some tables. Pure.

use std::collections::BTreeSet;

/// The entries of a table of contents that restore everything but the rows of other tables, and the foreign keys that
/// would look for them. `tables` are quoted names, as fingerprints have them.
pub(super) fn subset(entries: &[String], tables: &BTreeSet<String>) -> Vec<String> {
    part(entries, tables, &|_| true)
}

/// The same, but only the foreign keys are left out that `leads_out` is true for: it is given what follows their kind.
pub(super) fn part(entries: &[String], tables: &BTreeSet<String>, leads_out: &dyn Fn(&str) -> bool) -> Vec<String> {
    let wanted: BTreeSet<String> = tables.iter().filter_map(|name| plain(name)).collect();
    let keep = |line: &&String| {
        let Some((kind, rest)) = words(line) else { return true };
        match kind {
            "TABLE DATA" => wanted.iter().any(|name| is_of(rest, name)),
            "FK CONSTRAINT" => !leads_out(rest),
            "BLOBS" | "BLOB" | "LARGE OBJECT" | "BLOB METADATA" => false,
            _ => true,
        }
    };
    entries.iter().filter(keep).cloned().collect()
}

/// Whether what follows an entry's kind begins with this name. The owner's follows, of one word or more.
pub(super) fn is_of(rest: &str, plain: &str) -> bool {
    rest.strip_prefix(plain).is_some_and(|rest| rest.starts_with(' '))
}

/// An entry's kind and what follows it: `3456; 0 16403 TABLE DATA public orders app`.
pub(super) fn words(line: &str) -> Option<(&'static str, &str)> {
    const KINDS: [&str; 8] = [
        "TABLE DATA",
        "FK CONSTRAINT",
        "BLOB METADATA",
        "LARGE OBJECT",
        "BLOBS",
        "BLOB",
        "SEQUENCE SET",
        "MATERIALIZED VIEW DATA",
    ];
    let rest = line.split_once("; ")?.1.splitn(3, ' ').nth(2)?;
    KINDS.iter().find_map(|kind| Some((*kind, rest.strip_prefix(kind)?.strip_prefix(' ')?)))
}

/// `schema name`, as a table of contents has it.
pub(super) fn plain(quoted: &str) -> Option<String> {
    let (schema, name) = split(quoted)?;
    // Line breaks in names are printed as blanks there.
    Some(format!("{schema} {name}").replace(['\n', '\r'], " "))
}

/// The schema and the name in a quoted name.
pub(super) fn split(quoted: &str) -> Option<(String, String)> {
    let (mut parts, mut inside, mut chars) = (vec![String::new()], false, quoted.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => {
                chars.next();
                parts.last_mut()?.push('"');
            }
            '"' => inside = !inside,
            '.' if !inside => parts.push(String::new()),
            c => parts.last_mut()?.push(c),
        }
    }
    match <[String; 2]>::try_from(parts) {
        Ok([schema, name]) if !inside => Some((schema, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_other_tables_and_keys_to_them_are_left_out() {
        let all: Vec<String> = [
            "215; 1259 16390 TABLE public orders app",
            "3456; 0 16390 TABLE DATA public orders app",
            "3457; 0 16391 TABLE DATA public orders_old app",
            "3458; 0 16392 TABLE DATA Odd Schema Odd \"table Odd Role",
            "3459; 0 0 SEQUENCE SET public orders_id_seq app",
            "3300; 2606 16395 CONSTRAINT public orders orders_pkey app",
            "3301; 2606 16396 FK CONSTRAINT public orders orders_fk app",
            "3302; 0 0 BLOBS - BLOBS ",
        ]
        .map(str::to_owned)
        .into();
        let kept = subset(&all, &["public.orders".to_owned(), "\"Odd Schema\".\"Odd \"\"table\"".to_owned()].into());
        assert_eq!(kept, [&all[0], &all[1], &all[3], &all[4], &all[5]].map(String::clone));
        assert_eq!(split("\"a.b\".c"), Some(("a.b".to_owned(), "c".to_owned())));
        assert_eq!(split("c"), None);
    }
}
