//! What a data set looks like in the target: its tables, their columns and how they hang together.

use sqlx::{PgConnection, postgres::types::Oid};

use super::{
    definition::{Children, Definition},
    error::{Error, nearest},
    quote::{Table, ident, idents, must_find},
};

/// The data set's tables, the parent first, each before those that reference it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Never empty; the parent is the first.
    pub nodes: Vec<Node>,
}

/// One table of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub table: Table,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns that name a row: the definition's key for the parent, else the primary key; may be empty.
    pub key: Vec<String>,
    /// How its rows belong to rows of tables before it; empty for the parent.
    pub edges: Vec<Edge>,
}

/// A foreign key within the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which node it references.
    pub to: usize,
    /// The referencing columns.
    pub columns: Vec<String>,
    /// The referenced columns.
    pub referenced: Vec<String>,
}

/// A column as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, ready for a statement.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// Its collation, quoted, where it is not the type's own.
    pub collation: Option<String>,
    /// Whether it refuses nulls.
    pub not_null: bool,
    /// Whether it numbers itself.
    pub identity: bool,
    /// Whether it is computed.
    pub generated: bool,
    /// Its default, as SQL.
    pub default_value: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Index {
    main: bool,
    is_unique: bool,
    columns: Vec<String>,
}

#[derive(sqlx::FromRow)]
struct Reference {
    name: String,
    on_delete: String,
    oid: Oid,
    schema: String,
    table_name: String,
    columns: Vec<String>,
    referenced: Vec<String>,
}

impl Node {
    /// One column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Shape {
    /// Reads it from the target's catalog, and refuses what cannot be moved safely.
    pub async fn read(conn: &mut PgConnection, definition: &Definition) -> Result<Self, Error> {
        let (oid, table) = must_find(conn, &definition.table).await?;
        let parent = read_parent(conn, oid, table, definition).await?;
        let mut listed = match &definition.children {
            Children::ForeignKeys => None,
            Children::These(names) => {
                let mut oids = Vec::new();
                for name in names {
                    oids.push(must_find(conn, name).await?);
                }
                Some(oids)
            }
        };

        // Breadth first along the foreign keys; `edges` may lead forward until the nodes are in order.
        let mut oids = vec![oid];
        let mut nodes = vec![parent];
        let mut at = 0;
        while at < nodes.len() {
            let references: Vec<Reference> = sqlx::query_as(include_str!("../../sql/target/references.sql"))
                .bind(oids[at])
                .fetch_all(&mut *conn)
                .await?;
            for reference in references {
                let table = Table { schema: reference.schema, name: reference.table_name };
                let wanted = listed.as_ref().is_none_or(|listed| listed.iter().any(|(oid, _)| *oid == reference.oid));
                if !wanted {
                    // No action and restrict refuse by themselves; the others would change rows behind our back.
                    if matches!(reference.on_delete.as_str(), "c" | "n" | "d") {
                        return Err(Error::Unlisted { child: table, constraint: reference.name });
                    }
                    continue;
                }
                let place = match oids.iter().position(|oid| *oid == reference.oid) {
                    Some(place) => place,
                    None => {
                        oids.push(reference.oid);
                        nodes.push(read_child(conn, reference.oid, table).await?);
                        nodes.len() - 1
                    }
                };
                let edge = Edge { to: at, columns: reference.columns, referenced: reference.referenced };
                check_index(conn, oids[place], &nodes[place].table, &edge.columns).await?;
                nodes[place].edges.push(edge);
            }
            at += 1;
        }
        if let Some((_, table)) = listed.as_mut().and_then(|listed| listed.iter().find(|(oid, _)| !oids.contains(oid)))
        {
            return Err(Error::NoChild(table.clone()));
        }
        Ok(Self { nodes: in_order(nodes)? })
    }
}

/// The parent with the definition's key, age and other columns checked.
async fn read_parent(conn: &mut PgConnection, oid: Oid, table: Table, definition: &Definition) -> Result<Node, Error> {
    let columns = read_columns(conn, oid).await?;
    let node = Node { table, columns, key: definition.key.clone(), edges: Vec::new() };
    let named = definition.key.iter().map(|column| ("key", column));
    let resolved = definition.resolved.as_ref().map(|resolved| ("resolved.at", &resolved.at));
    for (key, name) in named.chain([("age", &definition.age)]).chain(resolved) {
        let Some(column) = node.column(name) else {
            let near = nearest(name, node.columns.iter().map(|column| column.name.as_str()));
            return Err(Error::NoColumn { table: node.table, column: name.clone(), key, near });
        };
        let time = column.kind.starts_with("timestamp") || column.kind == "date";
        if key != "key" && !time {
            return Err(Error::NoTime { column: name.clone(), kind: column.kind.clone(), table: node.table });
        }
    }
    let mut wanted = definition.key.clone();
    wanted.sort();
    let unique = read_indexes(conn, oid).await?.into_iter().any(|mut index| {
        index.columns.sort();
        index.is_unique && index.columns == wanted
    });
    let non_null = definition.key.iter().all(|name| node.column(name).is_some_and(|column| column.not_null));
    if definition.key.is_empty() || !unique || !non_null {
        return Err(Error::NotAKey { table: node.table, columns: definition.key.join(", ") });
    }
    Ok(node)
}

async fn read_child(conn: &mut PgConnection, oid: Oid, table: Table) -> Result<Node, Error> {
    let key = read_indexes(conn, oid).await?.into_iter().find(|index| index.main);
    Ok(Node {
        table,
        columns: read_columns(conn, oid).await?,
        key: key.map(|index| index.columns).unwrap_or_default(),
        edges: Vec::new(),
    })
}

/// A child is found by its foreign key in every step, so it needs an index that starts with those columns.
async fn check_index(conn: &mut PgConnection, oid: Oid, table: &Table, columns: &[String]) -> Result<(), Error> {
    let led = |index: &Index| {
        index.columns.len() >= columns.len() && columns.iter().all(|name| index.columns[..columns.len()].contains(name))
    };
    if read_indexes(conn, oid).await?.iter().any(led) {
        return Ok(());
    }
    Err(Error::Unindexed {
        columns: columns.join(", "),
        fix: format!("create index concurrently on {} ({});", table.sql(), idents("", columns)),
        table: table.clone(),
    })
}

/// The columns of a table, in order.
pub(super) async fn read_columns(conn: &mut PgConnection, oid: Oid) -> Result<Vec<Column>, Error> {
    Ok(sqlx::query_as(include_str!("../../sql/target/columns.sql")).bind(oid).fetch_all(conn).await?)
}

async fn read_indexes(conn: &mut PgConnection, oid: Oid) -> Result<Vec<Index>, Error> {
    Ok(sqlx::query_as(include_str!("../../sql/target/indexes.sql")).bind(oid).fetch_all(conn).await?)
}

/// Puts each node before those that reference it; the parent is the first because all the others lead to it.
fn in_order(nodes: Vec<Node>) -> Result<Vec<Node>, Error> {
    let mut order: Vec<usize> = Vec::with_capacity(nodes.len());
    while order.len() < nodes.len() {
        let free = (0..nodes.len())
            .find(|i| !order.contains(i) && nodes[*i].edges.iter().all(|edge| order.contains(&edge.to)));
        match free {
            Some(free) => order.push(free),
            None => {
                let stuck = (0..nodes.len()).find(|i| !order.contains(i)).unwrap_or_default();
                return Err(Error::Ring(nodes[stuck].table.clone()));
            }
        }
    }
    let place = |old: usize| order.iter().position(|i| *i == old).unwrap_or_default();
    Ok(order
        .iter()
        .map(|old| {
            let mut node = nodes[*old].clone();
            node.edges.iter_mut().for_each(|edge| edge.to = place(edge.to));
            node
        })
        .collect())
}

/// `"name" type collate "c"`, for a table that is made.
pub(super) fn column_sql(column: &Column) -> String {
    let collation = column.collation.as_ref().map(|name| format!(" collate {name}")).unwrap_or_default();
    format!("{} {}{collation}", ident(&column.name), column.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, to: &[usize]) -> Node {
        let table = Table { schema: "s".to_owned(), name: name.to_owned() };
        let edges = to.iter().map(|to| Edge { to: *to, columns: Vec::new(), referenced: Vec::new() }).collect();
        Node { table, columns: Vec::new(), key: Vec::new(), edges }
    }

    #[test]
    fn each_table_comes_before_those_that_reference_it() {
        // `leaf` is found first (it references the parent too), `middle` second.
        let nodes = in_order(vec![node("parent", &[]), node("leaf", &[0, 2]), node("middle", &[0])]).expect("an order");
        let names: Vec<_> = nodes.iter().map(|node| node.table.name.as_str()).collect();
        assert_eq!(names, ["parent", "middle", "leaf"]);
        assert_eq!(nodes[2].edges.iter().map(|edge| edge.to).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_ring_is_refused() {
        let ring = in_order(vec![node("parent", &[]), node("a", &[0, 2]), node("b", &[1])]);
        assert!(matches!(ring, Err(Error::Ring(table)) if table.name == "a"));
        assert!(matches!(in_order(vec![node("own", &[0])]), Err(Error::Ring(_))));
    }
}
