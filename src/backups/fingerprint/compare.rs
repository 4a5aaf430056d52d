//! Where two fingerprints differ, in words. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Between, Fingerprint};

/// What a restore left out on purpose, so that it is not held against the copy.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leave {
    /// Owners and grants: they were not asked for.
    pub(crate) owners: bool,
    /// Rows of tables that the copy's fingerprint was not taken of, and what depends on them.
    pub(crate) rest: bool,
    /// Definitions: only rows were restored.
    pub(crate) definitions: bool,
    /// Rows: only definitions were restored.
    pub(crate) rows: bool,
}

/// Everything in which `copy` is not what `source` was, a line each; nothing: it is equal.
pub(crate) fn differences(source: &Fingerprint, copy: &Fingerprint, leave: Leave) -> Vec<String> {
    let mut found = Vec::new();
    if !leave.definitions {
        definitions(source, copy, leave, &mut found);
    }
    if leave.rows {
        return found;
    }
    for (name, was) in &source.tables {
        match copy.tables.get(name) {
            Some(is) if is == was => {}
            Some(is) if is.rows != was.rows => {
                found.push(format!("table {name} has {} rows, and {} were dumped", is.rows, was.rows));
            }
            Some(is) => found.push(format!("table {name} has its {} rows, but not the same ones", is.rows)),
            None if leave.rest => {}
            None => found.push(format!("table {name} is missing")),
        }
    }
    if !leave.rest && source.large_objects != copy.large_objects {
        found.push("the large objects differ".to_owned());
    }
    for (name, was) in &source.sequences {
        let is = copy.sequences.get(name).map(|is| is.last);
        match is {
            Some(is) if within(*was, is) => {}
            Some(is) => found.push(format!("sequence {name} is at {}, and {} was dumped", at(is), span(*was))),
            None if leave.rest => {}
            None => found.push(format!("sequence {name} is missing")),
        }
    }
    found
}

fn definitions(source: &Fingerprint, copy: &Fingerprint, leave: Leave, found: &mut Vec<String>) {
    let nothing = BTreeMap::new();
    let objects: BTreeSet<_> = source.objects.keys().chain(copy.objects.keys()).collect();
    for object in objects {
        if leave.owners && object.starts_with("default grants") {
            continue;
        }
        let (was, is) = (source.objects.get(object), copy.objects.get(object));
        match (was, is) {
            (Some(_), None) => found.push(format!("{object} is missing")),
            (None, Some(_)) => found.push(format!("{object} was not in the source")),
            _ => {
                let (was, is) = (was.unwrap_or(&nothing), is.unwrap_or(&nothing));
                let aspects: BTreeSet<_> = was.keys().chain(is.keys()).collect();
                for aspect in aspects {
                    let owners = leave.owners && matches!(aspect.as_str(), "owner" | "grants" | "policies");
                    // Foreign keys lead to rows that were not restored.
                    let keys = leave.rest && aspect == "constraints";
                    if !owners && !keys && was.get(aspect) != is.get(aspect) {
                        found.push(format!("{object}: {aspect} differ"));
                    }
                }
            }
        }
    }
}

/// Whether a value lies where the sequence was while it was dumped.
fn within(was: Between, is: Option<i64>) -> bool {
    match (was.first, was.last, is) {
        (first, last, is) if is == first || is == last => true,
        (Some(first), Some(last), Some(is)) => is >= first.min(last) && is <= first.max(last),
        // It was used for the first time while it was dumped.
        (None, Some(_), _) => true,
        _ => false,
    }
}

fn at(value: Option<i64>) -> String {
    value.map_or_else(|| "its start".to_owned(), |value| value.to_string())
}

fn span(was: Between) -> String {
    if was.first == was.last { at(was.first) } else { format!("{} to {}", at(was.first), at(was.last)) }
}

#[cfg(test)]
mod tests {
    use super::{super::Rows, *};

    fn sample() -> Fingerprint {
        let rows = |rows: i64, sum: &str| Rows { rows, sum: sum.to_owned() };
        Fingerprint {
            tables: [("public.a".to_owned(), rows(3, "7")), ("public.b".to_owned(), rows(0, "0"))].into(),
            sequences: [("public.s".to_owned(), Between { first: Some(4), last: Some(9) })].into(),
            objects: [("public.a".to_owned(), [("columns".to_owned(), "1".to_owned())].into())].into(),
            ..Fingerprint::default()
        }
    }

    #[test]
    fn equal_is_equal_and_every_difference_is_told() {
        assert_eq!(differences(&sample(), &sample(), Leave::default()), Vec::<String>::new());
        let told = |change: fn(&mut Fingerprint)| {
            let mut copy = sample();
            change(&mut copy);
            differences(&sample(), &copy, Leave::default()).join("; ")
        };
        type Change = fn(&mut Fingerprint);
        let all: [(Change, &str); 6] = [
            (|copy| copy.tables.get_mut("public.a").expect("a").sum = "8".to_owned(), "not the same ones"),
            (
                |copy| copy.tables.get_mut("public.b").expect("b").rows = 1,
                "table public.b has 1 rows, and 0 were dumped",
            ),
            (|copy| drop(copy.tables.remove("public.b")), "public.b is missing"),
            (|copy| copy.large_objects.rows = 1, "large objects"),
            (|copy| copy.objects.clear(), "public.a is missing"),
            (|copy| copy.sequences.get_mut("public.s").expect("s").last = Some(10), "at 10, and 4 to 9 was dumped"),
        ];
        for (change, said) in all {
            assert!(told(change).contains(said), "{}", told(change));
        }
        assert_eq!(told(|copy| copy.sequences.get_mut("public.s").expect("s").last = Some(5)), "");
    }
}
