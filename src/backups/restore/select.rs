//! Which tables' rows are restored, and the entries of a dump that this takes. Pure.

use std::collections::BTreeSet;

use super::{preview::Problem, script::Script};
use crate::backups::subset::{is_of, part, plain, split, words};

/// The tables that are named, partitions instead of what is partitioned.
pub(super) fn choose(
    script: &Script,
    entries: &[String],
    tables: &[String],
    schemas: &[String],
    problems: &mut Vec<Problem>,
) -> BTreeSet<String> {
    let mut chosen = BTreeSet::new();
    for wanted in tables {
        let found = find(script, wanted);
        match found.as_slice() {
            [one] => chosen.extend(script.leaves(one)),
            [] => problems.push(Problem::new(
                format!("the backup has no table {wanted}"),
                "write SCHEMA.TABLE as `sexton backups show` and psql do",
            )),
            several => {
                problems.push(Problem::new(format!("{wanted} may be {}", several.join(" or ")), "write SCHEMA.TABLE"))
            }
        }
    }
    for wanted in schemas {
        let of = |name: &String| split(name).is_some_and(|(schema, _)| schema == *wanted || name.starts_with(wanted));
        let names: Vec<_> = script.tables.keys().filter(|name| of(name)).collect();
        if names.is_empty() {
            let help = "schemas are written as psql's \\dn shows them";
            problems.push(Problem::new(format!("the backup has no table in a schema {wanted}"), help));
        }
        chosen.extend(names.into_iter().filter(|name| !script.tables[*name].is_partitioned).cloned());
    }
    for name in &chosen {
        if !has_rows_of(entries, name) {
            let help = "its rows were left out when the backup was taken (exclude_table_data)";
            problems.push(Problem::new(format!("the backup has no rows of {name}"), help));
        }
    }
    chosen
}

/// Tables by a name in quotes or without, and without its schema where that is enough.
fn find(script: &Script, wanted: &str) -> Vec<String> {
    let names = || script.tables.keys();
    if let Some(exact) = names().find(|name| *name == wanted) {
        return vec![exact.clone()];
    }
    let unquoted =
        names().filter(|name| split(name).is_some_and(|(schema, table)| format!("{schema}.{table}") == wanted));
    let found: Vec<_> = unquoted.cloned().collect();
    if !found.is_empty() {
        return found;
    }
    names().filter(|name| split(name).is_some_and(|(_, table)| table == wanted)).cloned().collect()
}

fn has_rows_of(entries: &[String], table: &str) -> bool {
    let Some(plain) = plain(table) else { return false };
    entries.iter().filter_map(|line| words(line)).any(|(kind, rest)| kind == "TABLE DATA" && is_of(rest, &plain))
}

/// Every table whose rows the dump has.
pub(super) fn all(script: &Script, entries: &[String]) -> BTreeSet<String> {
    script.tables.keys().filter(|name| has_rows_of(entries, name)).cloned().collect()
}

/// For a new database: every definition, the rows of some tables, and no key that leads to rows which are not there.
pub(super) fn for_new(script: &Script, entries: &[String], chosen: &BTreeSet<String>) -> Vec<String> {
    let leads_out: Vec<String> = script
        .keys
        .iter()
        .filter(|key| {
            let refers = script.leaves(&key.child).iter().any(|leaf| chosen.contains(leaf));
            refers && !script.leaves(&key.parent).iter().all(|leaf| chosen.contains(leaf))
        })
        .filter_map(|key| Some(format!("{} {}", plain(&key.child)?, key.name)))
        .collect();
    part(entries, chosen, &|rest| leads_out.iter().any(|key| is_of(rest, key)))
}

/// For tables that are there: the rows of some, and where their own sequences are.
pub(super) fn for_rows(entries: &[String], chosen: &BTreeSet<String>, sequences: &[String]) -> Vec<String> {
    let wanted: Vec<String> = chosen.iter().filter_map(|name| plain(name)).collect();
    let keep = |line: &&String| match words(line) {
        Some(("TABLE DATA", rest)) => wanted.iter().any(|name| is_of(rest, name)),
        Some(("SEQUENCE SET", rest)) => sequences.iter().any(|name| is_of(rest, name)),
        _ => false,
    };
    entries.iter().filter(keep).cloned().collect()
}

/// The materialized views that had rows, in the order in which they can be refreshed; `views` are those that are
/// there, quoted and plain.
pub(super) fn refreshed(entries: &[String], views: &[(String, String)]) -> Vec<String> {
    let named = entries.iter().filter_map(|line| words(line)).filter(|(kind, _)| *kind == "MATERIALIZED VIEW DATA");
    named
        .filter_map(|(_, rest)| views.iter().find(|(_, plain)| is_of(rest, plain)).map(|(name, _)| name.clone()))
        .collect()
}

/// How many large objects the dump has, one for each entry at least.
pub(super) fn has_large_objects(entries: &[String]) -> bool {
    entries.iter().filter_map(|line| words(line)).any(|(kind, _)| matches!(kind, "BLOB" | "BLOBS" | "BLOB METADATA"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "create table x; CREATE TABLE public.p (at date) PARTITION BY RANGE (at); \
        CREATE TABLE public.p1 (at date); ALTER TABLE ONLY public.p ATTACH PARTITION public.p1 DEFAULT; \
        CREATE TABLE public.a (id int); CREATE TABLE other.a (id int); CREATE TABLE \"Odd S\".\"T t\" (id int); \
        ALTER TABLE ONLY public.a ADD CONSTRAINT a_p FOREIGN KEY (id) REFERENCES public.p(at); \
        ALTER TABLE ONLY other.a ADD CONSTRAINT a_a FOREIGN KEY (id) REFERENCES public.a(id);";

    #[test]
    fn tables_are_chosen_as_people_write_them() {
        let script = Script::read(SQL);
        let entries: Vec<String> = [
            "1; 0 1 TABLE DATA public p1 app",
            "2; 0 1 TABLE DATA public a app",
            "3; 0 1 TABLE DATA Odd S T t app",
            "4; 0 1 FK CONSTRAINT public a a_p app",
            "5; 0 1 FK CONSTRAINT other a a_a app",
        ]
        .map(str::to_owned)
        .into();
        let mut problems = Vec::new();
        let mut chosen = |tables: &[&str], schemas: &[&str]| {
            let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            choose(&script, &entries, &own(tables), &own(schemas), &mut problems)
        };
        assert_eq!(chosen(&["public.p"], &[]), ["public.p1".to_owned()].into());
        assert_eq!(chosen(&["Odd S.T t"], &["public"]).len(), 3);
        assert!(chosen(&["a"], &[]).is_empty());
        chosen(&["nothing"], &[]);
        chosen(&["other.a"], &[]);
        let told: Vec<_> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            told,
            ["a may be other.a or public.a", "the backup has no table nothing", "the backup has no rows of other.a"]
        );
        // The key of a chosen table to one that is not goes; that of an empty table stays.
        let kept = for_new(&script, &entries, &["public.a".to_owned()].into());
        assert_eq!(kept, [entries[1].clone(), entries[4].clone()]);
        assert_eq!(all(&script, &entries).len(), 3);
    }
}
