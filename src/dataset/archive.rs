//! Makes the archive tables match main: a missing one is made, added columns follow, and a changed type is refused
//! before a row moves.
//!
//! An archive holds what main held. Checks and foreign keys belong to main; of constraints the archive has only
//! the key.

use sqlx::PgConnection;

use super::{
    definition::ArchiveAt,
    error::Error,
    quote::{Table, find_in, ident, idents},
    shape::{Column, Node, Shape, column_sql, read_columns},
};

/// The archive's own columns, beside those of main.
pub(super) const OWN: [(&str, &str); 3] =
    [("archived_at", "timestamptz"), ("archived_by", "text"), ("archive_reason", "text")];

/// The archive of each node of a shape, and what must be run before it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// In the order of the shape's nodes.
    pub tables: Vec<Table>,
    /// In the order of the shape's nodes: whether the table is there already.
    pub there: Vec<bool>,
    /// Statements to run, in order; none when all matches.
    pub changes: Vec<String>,
}

/// Looks where the archive tables are, and which of them are there.
pub async fn locate(conn: &mut PgConnection, shape: &Shape, at: &ArchiveAt) -> Result<Archive, Error> {
    let tables: Vec<Table> = shape.nodes.iter().map(|node| place(&node.table, at)).collect();
    let mut there = Vec::new();
    for table in &tables {
        there.push(find_in(conn, Some(&table.schema), &table.name).await?.is_some());
    }
    Ok(Archive { tables, there, changes: Vec::new() })
}

/// Looks at the archive tables and decides what must change before rows arrive. Changes nothing.
pub async fn plan(conn: &mut PgConnection, shape: &Shape, at: &ArchiveAt) -> Result<Archive, Error> {
    let mut archive = Archive { tables: Vec::new(), there: Vec::new(), changes: Vec::new() };
    if let ArchiveAt::Schema(schema) = at {
        let there: bool = sqlx::query_scalar("select exists (select from pg_namespace where nspname = $1)")
            .bind(schema)
            .fetch_one(&mut *conn)
            .await?;
        if !there {
            archive.changes.push(format!("create schema {}", ident(schema)));
        }
    }
    for node in &shape.nodes {
        let table = place(&node.table, at);
        let found = find_in(conn, Some(&table.schema), &table.name).await?;
        let changes = match &found {
            Some((oid, _)) => changes(node, &table, &read_columns(conn, *oid).await?)?,
            None => creation(node, &table)?,
        };
        archive.changes.extend(changes);
        archive.there.push(found.is_some());
        archive.tables.push(table);
    }
    Ok(archive)
}

/// Where the archive of a table is.
fn place(table: &Table, at: &ArchiveAt) -> Table {
    match at {
        ArchiveAt::Suffix(suffix) => Table { schema: table.schema.clone(), name: format!("{}{suffix}", table.name) },
        ArchiveAt::Schema(schema) => Table { schema: schema.clone(), name: table.name.clone() },
    }
}

/// A new archive table: main's columns and our own, the key, and an index for each way its rows are found.
fn creation(node: &Node, archive: &Table) -> Result<Vec<String>, Error> {
    if let Some((name, _)) = OWN.iter().find(|(name, _)| node.column(name).is_some()) {
        return Err(Error::Reserved { table: node.table.clone(), column: (*name).to_owned() });
    }
    let mut lines: Vec<String> = node.columns.iter().map(column_sql).collect();
    lines.extend(OWN.iter().map(|(name, kind)| match *name {
        "archived_at" => format!("{} {kind} not null default now()", ident(name)),
        _ => format!("{} {kind}", ident(name)),
    }));
    if !node.key.is_empty() {
        lines.push(format!("primary key ({})", idents("", &node.key)));
    }
    let mut statements = vec![format!("create table {} (\n    {}\n)", archive.sql(), lines.join(",\n    "))];
    statements.extend(
        node.edges.iter().map(|edge| format!("create index on {} ({})", archive.sql(), idents("", &edge.columns))),
    );
    Ok(statements)
}

/// What makes an archive table that is there match its main table.
fn changes(node: &Node, archive: &Table, there: &[Column]) -> Result<Vec<String>, Error> {
    let alter = |what: String| format!("alter table {} {what}", archive.sql());
    let drift = |what: String, fix: String| Error::Drift {
        table: node.table.clone(),
        archive: Box::new(archive.clone()),
        what,
        fix: format!("{fix};"),
    };
    let mut statements = Vec::new();
    for main in &node.columns {
        let name = ident(&main.name);
        let Some(kept) = there.iter().find(|column| column.name == main.name) else {
            statements.push(alter(format!("add column {}", column_sql(main))));
            continue;
        };
        if !holds(&kept.kind, &main.kind) {
            return Err(drift(
                format!("column `{}` is {} here and {} there", main.name, main.kind, kept.kind),
                alter(format!("alter column {name} type {} using {name}::{}", main.kind, main.kind)),
            ));
        }
        if kept.generated {
            statements.push(alter(format!("alter column {name} drop expression")));
        }
        if kept.identity {
            statements.push(alter(format!("alter column {name} drop identity")));
        }
        // Made by `like … including all`, it would draw from main's sequence.
        if kept.default_value.as_ref().is_some_and(|value| value.contains("nextval(")) {
            statements.push(alter(format!("alter column {name} drop default")));
        }
        if kept.not_null && !main.not_null && !node.key.contains(&main.name) {
            statements.push(alter(format!("alter column {name} drop not null")));
        }
    }
    for (name, kind) in OWN {
        if !there.iter().any(|column| column.name == name) {
            statements.push(alter(format!("add column {} {kind}", ident(name))));
        }
    }
    let orphan = there.iter().find(|column| {
        let ours = OWN.iter().any(|(name, _)| *name == column.name);
        !ours && node.column(&column.name).is_none() && column.not_null && column.default_value.is_none()
    });
    if let Some(orphan) = orphan {
        return Err(drift(
            format!("its column `{}` is not null, and main has no such column any more", orphan.name),
            alter(format!("alter column {} drop not null", ident(&orphan.name))),
        ));
    }
    Ok(statements)
}

/// Whether a column of type `archive` holds every value of type `main` unchanged.
fn holds(archive: &str, main: &str) -> bool {
    // `character varying` without a length holds `character varying(1000)`, `numeric` holds `numeric(10,2)`.
    archive == main || main.strip_prefix(archive).is_some_and(|rest| rest.starts_with('('))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str) -> Column {
        Column {
            name: name.to_owned(),
            kind: kind.to_owned(),
            collation: None,
            not_null: false,
            identity: false,
            generated: false,
            default_value: None,
        }
    }

    fn main() -> Node {
        let columns = vec![column("id", "bigint"), column("note", "character varying(1000)")];
        let table = Table { schema: "public".to_owned(), name: "thing".to_owned() };
        Node { table, columns, key: vec!["id".to_owned()], edges: Vec::new() }
    }

    fn archive() -> Table {
        place(&main().table, &ArchiveAt::Suffix("_archive".to_owned()))
    }

    fn there() -> Vec<Column> {
        let own = OWN.iter().map(|(name, kind)| column(name, kind));
        main().columns.into_iter().chain(own).collect()
    }

    #[test]
    fn an_archive_that_was_made_by_us_needs_no_change() {
        assert_eq!(changes(&main(), &archive(), &there()).expect("no drift"), Vec::<String>::new());
    }

    #[test]
    fn an_added_column_follows() {
        let mut node = main();
        node.columns.push(column("added", "jsonb"));
        let statements = changes(&node, &archive(), &there()).expect("no drift");
        assert_eq!(statements, [r#"alter table "public"."thing_archive" add column "added" jsonb"#]);
    }

    #[test]
    fn a_changed_type_is_refused_with_the_statement_to_run() {
        let mut node = main();
        node.columns[1].kind = "text".to_owned();
        let Err(Error::Drift { fix, .. }) = changes(&node, &archive(), &there()) else { panic!("not refused") };
        assert_eq!(fix, r#"alter table "public"."thing_archive" alter column "note" type text using "note"::text;"#);
    }

    #[test]
    fn a_copy_made_by_like_loses_what_belongs_to_main() {
        let mut kept = there();
        kept[0].default_value = Some("nextval('thing_id_seq'::regclass)".to_owned());
        kept[0].not_null = true;
        kept[1].not_null = true;
        let statements = changes(&main(), &archive(), &kept).expect("no drift");
        assert_eq!(
            statements,
            [
                r#"alter table "public"."thing_archive" alter column "id" drop default"#,
                r#"alter table "public"."thing_archive" alter column "note" drop not null"#,
            ]
        );
    }

    #[test]
    fn a_wider_type_holds_a_narrower_one() {
        assert!(holds("character varying", "character varying(1000)"));
        assert!(!holds("character varying(255)", "character varying(1000)"));
        assert!(!holds("bit", "bit varying"));
    }
}
