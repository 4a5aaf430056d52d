//! What a data set's main tables and its archive disagree on, as SQL.

use serde::Deserialize;

use super::{
    ArchiveConsistency, Facts, Fault,
    text::{Cannot, Query, wrong},
};
use crate::dataset::{
    Definition,
    quote::{ident, literal},
};

/// What `shape.sql` says, as far as checks need it.
#[derive(Deserialize)]
struct Shape {
    nodes: Option<Vec<Node>>,
}

#[derive(Deserialize)]
struct Node {
    table: String,
    sql: String,
    label: String,
    key: Vec<String>,
    edges: Vec<Edge>,
    archive: Archive,
}

#[derive(Deserialize)]
struct Edge {
    to: usize,
    columns: Vec<String>,
    referenced: Vec<String>,
}

#[derive(Deserialize)]
struct Archive {
    table: String,
    sql: String,
    oid: Option<i64>,
    columns: Option<Vec<Column>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

impl Facts {
    pub(super) fn archive_consistency(
        &self,
        one: &ArchiveConsistency,
        dataset: Option<&Definition>,
    ) -> Result<Query, Cannot> {
        let set = dataset.ok_or_else(|| wrong("it needs a data set", "add `dataset` to the job"))?;
        let shape = self.shape.clone().unwrap_or_default();
        let shape: Shape = serde_json::from_value(shape)
            .map_err(|error| wrong(format!("the data set's shape cannot be read: {error}"), "please report this"))?;
        let nodes = shape.nodes.ok_or_else(|| Cannot::Missing(set.table.clone()))?;
        let Some(parent) = nodes.first() else { return Err(Cannot::Missing(set.table.clone())) };
        if parent.archive.oid.is_none() {
            return Err(Cannot::Missing(parent.archive.table.clone()));
        }
        let chosen: Vec<&Node> = match &one.child {
            None => nodes.iter().filter(|node| node.archive.oid.is_some()).collect(),
            Some(name) => {
                let node = nodes.iter().find(|node| node.table == *name || node.label == *name).ok_or_else(|| {
                    let all: Vec<_> = nodes.iter().skip(1).map(|node| node.table.as_str()).collect();
                    wrong(
                        format!("{name} is no child of the data set"),
                        format!("correct the check's `child`; there are: {}", all.join(", ")),
                    )
                })?;
                if node.archive.oid.is_none() {
                    return Err(Cannot::Missing(node.archive.table.clone()));
                }
                vec![node]
            }
        };
        let of = |node: &Node| format!("select count(*) from {} a", node.archive.sql);
        let all = |parts: Vec<String>, key: &[&str]| {
            if parts.is_empty() {
                return Err(wrong(
                    "there is nothing to compare",
                    "give the tables primary keys, or leave the check out",
                ));
            }
            Ok(Query {
                rows: parts.join("\nunion all\n"),
                looked: Some(chosen.first().map_or_else(|| of(parent), |node| of(node))),
                key: Some(key.iter().map(|name| (*name).to_owned()).collect()),
            })
        };
        match one.find {
            Fault::RowsInBoth => {
                let keyed = chosen.iter().filter(|node| !node.key.is_empty());
                all(keyed.map(|node| rows_in_both(node)).collect(), &["in_table", "key"])
            }
            Fault::NamesInBoth => names_in_both(parent, set),
            Fault::Orphans => all(
                edges(&nodes, &chosen)
                    .filter(|(_, _, to)| to.archive.oid.is_some())
                    .map(|(node, edge, to)| strays(node, edge, &node.archive.sql, &to.archive.sql, "not exists"))
                    .collect(),
                &["in_table", "key"],
            ),
            Fault::LeftBehind => all(
                edges(&nodes, &chosen)
                    .filter(|(_, _, to)| to.archive.oid.is_some())
                    .map(|(node, edge, to)| {
                        // A parent in both places is another fault.
                        let also = strays(node, edge, &node.sql, &to.archive.sql, "exists");
                        format!("{also}\n  and not exists (select from {} p where {})", to.sql, joined(edge, "p", "t"))
                    })
                    .collect(),
                &["in_table", "key"],
            ),
            Fault::WrongCounts => wrong_counts(parent, &chosen, one, set),
            Fault::TooYoung => too_young(parent, one, set),
            Fault::Columns => all(chosen.iter().map(|node| columns(node)).collect(), &["in_table", "column_name"]),
        }
    }
}

fn list(of: &str, names: &[String]) -> String {
    names.iter().map(|name| format!("{of}.{}", ident(name))).collect::<Vec<_>>().join(", ")
}

/// The key of a row as one text, so that all tables fit one result.
fn key(of: &str, node: &Node) -> String {
    match node.key.is_empty() {
        true => format!("to_jsonb({of})::text"),
        false => format!("concat_ws(', ', {})", list(of, &node.key)),
    }
}

/// `p."id" = t."exception_id"`
fn joined(edge: &Edge, parent: &str, child: &str) -> String {
    let pairs = edge.referenced.iter().zip(&edge.columns);
    pairs
        .map(|(to, from)| format!("{parent}.{} = {child}.{}", ident(to), ident(from)))
        .collect::<Vec<_>>()
        .join(" and ")
}

/// The foreign keys of the chosen tables.
fn edges<'n>(nodes: &'n [Node], chosen: &'n [&'n Node]) -> impl Iterator<Item = (&'n Node, &'n Edge, &'n Node)> {
    chosen.iter().flat_map(move |node| node.edges.iter().map(move |edge| (*node, edge, &nodes[edge.to])))
}

fn rows_in_both(node: &Node) -> String {
    let same: Vec<_> = node.key.iter().map(|name| format!("a.{0} = t.{0}", ident(name))).collect();
    format!(
        "select {} as in_table, {} as key\nfrom {} t\nwhere exists (select from {} a where {})",
        literal(&node.label),
        key("t", node),
        node.sql,
        node.archive.sql,
        same.join(" and ")
    )
}

fn names_in_both(parent: &Node, set: &Definition) -> Result<Query, Cannot> {
    let name = set
        .known_by
        .as_ref()
        .ok_or_else(|| wrong("the data set has no `known_by`", "add it, or leave the check out"))?;
    let column = ident(name);
    Ok(Query {
        rows: format!(
            "select {}, t.{column}\nfrom {} t\nwhere exists (select from {} a where a.{column} = t.{column})",
            list("t", &parent.key),
            parent.sql,
            parent.archive.sql
        ),
        looked: Some(format!("select count(*) from {} a", parent.archive.sql)),
        key: Some(parent.key.clone()),
    })
}

/// Child rows in `from` whose parent is, or is not, in `to`.
fn strays(node: &Node, edge: &Edge, from: &str, to: &str, exists: &str) -> String {
    let there: Vec<_> = edge.columns.iter().map(|name| format!("t.{} is not null", ident(name))).collect();
    format!(
        "select {} as in_table, {} as key, concat_ws(', ', {}) as parent\nfrom {from} t\nwhere {}\n  and {exists} (select from {to} o where {})",
        literal(&node.label),
        key("t", node),
        list("t", &edge.columns),
        there.join(" and "),
        joined(edge, "o", "t")
    )
}

fn wrong_counts(parent: &Node, chosen: &[&Node], one: &ArchiveConsistency, set: &Definition) -> Result<Query, Cannot> {
    let (Some(column), Some(child)) = (&one.column, chosen.first().filter(|_| one.child.is_some())) else {
        return Err(wrong(
            "it needs `child` and `column`",
            "name the child table, and the parent's column with its count",
        ));
    };
    let edge = child.edges.iter().find(|edge| edge.to == 0).ok_or_else(|| {
        wrong(format!("{} does not reference {}", child.table, parent.table), "name a table right under the parent")
    })?;
    let archived = parent.archive.columns.iter().flatten().any(|found| found.name == *column);
    if !archived {
        return Err(wrong(
            format!("{} has no column `{column}`", parent.archive.table),
            "correct the check's `column`",
        ));
    }
    let mut shown = parent.key.clone();
    shown.extend(set.known_by.clone());
    let column = ident(column);
    Ok(Query {
        rows: format!(
            "select {}, a.{column} as recorded, c.actual\nfrom {} a\ncross join lateral (\n    select count(*) as actual from {} t where {}\n) c\nwhere a.{column} <> c.actual",
            list("a", &shown),
            parent.archive.sql,
            child.archive.sql,
            joined(edge, "a", "t"),
        ),
        looked: Some(format!("select count(*) from {} a", parent.archive.sql)),
        key: Some(parent.key.clone()),
    })
}

fn too_young(parent: &Node, one: &ArchiveConsistency, set: &Definition) -> Result<Query, Cannot> {
    let span = one.older_than.ok_or_else(|| wrong("it needs `older_than`", "write older_than = \"90d\""))?;
    let (columns, age) = (parent.archive.columns.as_deref().unwrap_or_default(), ident(&set.age));
    // Held against the day that it was archived: every row is old enough some day.
    let archived = match columns.iter().any(|column| column.name == "archived_at") {
        true => "coalesce(a.archived_at, now())",
        false => "now()",
    };
    let mut shown = parent.key.clone();
    shown.extend(set.known_by.clone());
    Ok(Query {
        rows: format!(
            "select {}, a.{age}, {archived} as archived\nfrom {} a\nwhere a.{age} > {archived} - interval '{} seconds'",
            list("a", &shown),
            parent.archive.sql,
            span.0.as_secs_f64()
        ),
        looked: Some(format!("select count(*) from {} a", parent.archive.sql)),
        key: Some(parent.key.clone()),
    })
}

/// Columns of a main table that its archive lacks or has with another type.
fn columns(node: &Node) -> String {
    // By name and not by number: text that is kept must stay right when a table is made anew.
    let of = |sql: &str| {
        format!(
            "select a.attname, format_type(a.atttypid, a.atttypmod) as type\n          from pg_attribute a\n          where a.attrelid = {}::regclass and a.attnum > 0 and not a.attisdropped",
            literal(sql)
        )
    };
    format!(
        "select {} as in_table, m.attname::text as column_name, m.type as main_type, coalesce(h.type, 'missing') as archive_type\nfrom ({}) m\nleft join ({}) h using (attname)\nwhere h.type is distinct from m.type",
        literal(&node.label),
        of(&node.sql),
        of(&node.archive.sql)
    )
}
