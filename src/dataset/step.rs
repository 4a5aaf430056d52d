//! The SQL of one step, generated from a definition's shape.
//!
//! Parents are locked (skipping those that somebody else holds) and re-checked before their children are read;
//! children leave deepest first. Each statement says how many rows left and how many arrived.

use serde::{Deserialize, Serialize};

use super::{
    archive::OWN,
    definition::Definition,
    error::Error,
    quote::{Table, condition, ident, idents},
    shape::{Column, Shape},
};
use crate::span::Span;

/// Which rows go where.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Where they are taken from.
    pub from: Side,
    /// Where they go.
    pub disposal: Disposal,
    /// Which of them.
    pub select: Select,
    /// Whether critical rows stay.
    pub keep_critical: bool,
    /// Whether open rows stay.
    pub keep_open: bool,
    /// The most parent rows that one run takes.
    pub max_rows: Option<u64>,
    /// Who asked; written beside each archived row.
    pub by: String,
    /// Why; written beside each archived row.
    pub reason: String,
}

/// Main tables or their archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The data set's own tables.
    #[default]
    Main,
    /// Their archive.
    Archive,
}

/// Where rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposal {
    /// To the archive.
    Archive,
    /// Nowhere: they are gone.
    Delete,
}

/// Which rows are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// Those whose age column is further back than this.
    Old(Span),
    /// Those that have been settled for longer than this.
    Resolved(Span),
}

impl Select {
    /// How far back the line is drawn.
    pub fn span(self) -> Span {
        match self {
            Self::Old(span) | Self::Resolved(span) => span,
        }
    }
}

/// The statements of an order on a shape.
///
/// `$1` of `totals`, `children` and the locks is the cutoff, a `timestamptz`; `$2` a limit. `lock_next` takes the
/// last row's age and key as `text[]` in `$3`. `inner` and `moves` take the locked keys, one `text[]` for each
/// column of the key; moves into the archive then take who and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Counts what is eligible, and what is kept for being critical and for being open.
    pub totals: String,
    /// Counts a child's rows that would go with the first `$2` (null: all) eligible parents, by label.
    pub children: Vec<(String, String)>,
    /// Counts all parent rows, in main and in the archive (which may be missing: then none).
    pub sizes: String,
    /// Locks the first rows.
    pub lock_first: String,
    /// Locks the rows after the cursor.
    pub lock_next: String,
    /// Locks the rows of children that have children of their own, top down.
    pub inner: Vec<String>,
    /// Moves the rows, deepest first; the last one is the parent's.
    pub moves: Vec<Move>,
    /// How many columns the key has.
    pub width: usize,
}

/// The statement that moves the rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The table that the rows leave.
    pub table: Table,
    /// What the report calls them: the table's name, with its schema where the name alone is not unique.
    pub label: String,
    /// The statement; returns how many left and how many arrived.
    pub sql: String,
}

/// Writes the statements of `order` on a data set whose archive tables are `archive`.
pub fn script(
    definition: &Definition,
    shape: &Shape,
    archive: &[Table],
    archive_there: bool,
    order: &Order,
) -> Result<Script, Error> {
    Writer::new(definition, shape, archive, order)?.script(archive_there)
}

/// How the statements know the parent rows that they are about.
#[derive(Clone, Copy)]
enum Keys<'a> {
    /// From parameters `$1…`.
    Given,
    /// From a query.
    Query(&'a str),
}

struct Writer<'a> {
    shape: &'a Shape,
    archive: &'a [Table],
    order: &'a Order,
    /// The columns of the key with their types.
    key: Vec<&'a Column>,
    /// The column that the cutoff is compared with.
    clock: &'a Column,
    /// Which rows are meant at all.
    meant: Option<String>,
    critical: Option<String>,
    open: Option<String>,
}

impl<'a> Writer<'a> {
    fn new(
        definition: &'a Definition,
        shape: &'a Shape,
        archive: &'a [Table],
        order: &'a Order,
    ) -> Result<Self, Error> {
        let parent = &shape.nodes[0];
        let column = |name: &str, key: &'static str| {
            parent.column(name).ok_or_else(|| Error::NoColumn {
                table: parent.table.clone(),
                column: name.to_owned(),
                key,
                near: None,
            })
        };
        let (clock, meant) = match order.select {
            Select::Old(_) => (column(&definition.age, "age")?, None),
            Select::Resolved(_) => {
                let resolved = definition.resolved.as_ref().ok_or(Error::Undefined("resolved"))?;
                (column(&resolved.at, "resolved.at")?, Some(condition(&resolved.when)))
            }
        };
        Ok(Self {
            shape,
            archive,
            order,
            key: definition.key.iter().map(|name| column(name, "key")).collect::<Result<_, _>>()?,
            clock,
            meant,
            critical: definition.critical.as_deref().filter(|_| order.keep_critical).map(condition),
            open: definition.open.as_deref().filter(|_| order.keep_open).map(condition),
        })
    }

    fn script(&self, archive_there: bool) -> Result<Script, Error> {
        let mut inner = Vec::new();
        let mut moves = Vec::new();
        let mut children = Vec::new();
        let first = self.first_keys();
        for at in 0..self.shape.nodes.len() {
            let rows = self.rows(at, "t", Keys::Given);
            let has_children = self.shape.nodes.iter().any(|node| node.edges.iter().any(|edge| edge.to == at));
            if at > 0 && has_children {
                inner.push(format!(
                    "select count(*)\nfrom (select 1 from {} t where {rows} for update) l",
                    self.source(at).sql()
                ));
            }
            if at > 0 {
                let rows = self.rows(at, "t", Keys::Query(&first));
                let sql = format!("select count(*)\nfrom {} t\nwhere {rows}", self.source(at).sql());
                children.push((self.label(at), sql));
            }
            moves.insert(0, Move { table: self.source(at).clone(), label: self.label(at), sql: self.leave(at, &rows) });
        }
        Ok(Script {
            totals: self.totals(),
            children,
            sizes: self.sizes(archive_there),
            lock_first: self.lock(false),
            lock_next: self.lock(true),
            inner,
            moves,
            width: self.key.len(),
        })
    }

    /// The table that rows of a node leave.
    fn source(&self, at: usize) -> &Table {
        match self.order.from {
            Side::Main => &self.shape.nodes[at].table,
            Side::Archive => &self.archive[at],
        }
    }

    fn label(&self, at: usize) -> String {
        let table = &self.shape.nodes[at].table;
        let twice = self.shape.nodes.iter().filter(|node| node.table.name == table.name).count() > 1;
        if twice { format!("{}_{}", table.schema, table.name) } else { table.name.clone() }
    }

    /// `$1` as a value that the clock column compares with.
    fn cutoff(&self) -> &'static str {
        match self.clock.kind.as_str() {
            "date" => "($1::timestamptz at time zone 'UTC')::date",
            kind if kind.ends_with("without time zone") => "($1::timestamptz at time zone 'UTC')",
            _ => "$1::timestamptz",
        }
    }

    /// The rows past the cutoff, whether they stay or not.
    fn past(&self) -> String {
        let meant = self.meant.as_ref().map(|meant| format!("\n  and {meant} is true")).unwrap_or_default();
        format!("t.{} < {}{meant}", ident(&self.clock.name), self.cutoff())
    }

    /// The rows that go. What is not known to be harmless stays.
    fn eligible(&self) -> String {
        let keep = [&self.critical, &self.open].into_iter().flatten();
        keep.fold(self.past(), |sql, keep| format!("{sql}\n  and {keep} is false"))
    }

    fn totals(&self) -> String {
        let kept = |sql: Option<String>| match sql {
            Some(sql) => format!("count(*) filter (where {sql})"),
            None => "0::bigint".to_owned(),
        };
        let critical = self.critical.as_ref().map(|critical| format!("{critical} is not false"));
        let open = self.open.as_ref().map(|open| match &self.critical {
            Some(critical) => format!("{critical} is false and {open} is not false"),
            None => format!("{open} is not false"),
        });
        let harmless: Vec<String> =
            [&self.critical, &self.open].into_iter().flatten().map(|keep| format!("{keep} is false")).collect();
        let eligible = if harmless.is_empty() {
            "count(*)".to_owned()
        } else {
            format!("count(*) filter (where {})", harmless.join(" and "))
        };
        format!(
            "select {eligible},\n       {},\n       {}\nfrom {} t\nwhere {}",
            kept(critical),
            kept(open),
            self.source(0).sql(),
            self.past()
        )
    }

    fn sizes(&self, archive_there: bool) -> String {
        let archive = if archive_there {
            format!("(select count(*) from {})", self.archive[0].sql())
        } else {
            "0::bigint".to_owned()
        };
        format!("select (select count(*) from {}),\n       {archive}", self.shape.nodes[0].table.sql())
    }

    fn order_by(&self) -> String {
        let key = self.key.iter().map(|column| format!(", t.{}", ident(&column.name))).collect::<String>();
        format!("t.{}{key}", ident(&self.clock.name))
    }

    /// The keys of the first `$2` rows that go.
    fn first_keys(&self) -> String {
        format!(
            "select {}\nfrom {} t\nwhere {}\norder by {}\nlimit $2",
            idents("t", self.key.iter().map(|column| &column.name)),
            self.source(0).sql(),
            self.eligible(),
            self.order_by()
        )
    }

    /// Locks up to `$2` rows and gives their keys: the last row's clock, then an array for each column of the key.
    fn lock(&self, after_cursor: bool) -> String {
        let name = |(at, column): (usize, &&Column)| format!("t.{} as k{at}", ident(&column.name));
        let keys: Vec<String> = self.key.iter().enumerate().map(name).collect();
        let after = if after_cursor {
            let key = self.key.iter().enumerate();
            let key: String = key.map(|(at, column)| format!(", ($3::text[])[{}]::{}", at + 2, column.kind)).collect();
            format!("\n      and ({}) > (($3::text[])[1]::{}{key})", self.order_by(), self.clock.kind)
        } else {
            String::new()
        };
        let sort: String = (0..self.key.len()).map(|at| format!(", k{at}")).collect();
        let last: String = (0..self.key.len()).map(|at| format!(", k{at} desc")).collect();
        let arrays: String = (0..self.key.len())
            .map(|at| format!(",\n       coalesce(array_agg(k{at}::text order by c{sort}), '{{}}')"))
            .collect();
        format!(
            "with locked as materialized (\n    select t.{} as c, {}\n    from {} t\n    where {}{after}\n    \
             order by {}\n    limit $2\n    for update of t skip locked\n)\n\
             select (array_agg(c::text order by c desc{last}))[1]{arrays}\nfrom locked",
            ident(&self.clock.name),
            keys.join(", "),
            self.source(0).sql(),
            self.eligible(),
            self.order_by(),
        )
    }

    /// The condition for rows of node `at`, called `name`, that belong to the given parent rows.
    fn rows(&self, at: usize, name: &str, keys: Keys<'_>) -> String {
        let node = &self.shape.nodes[at];
        if at == 0 {
            return self.among(name, self.key.iter().map(|column| &column.name), keys);
        }
        let ways: Vec<String> = node
            .edges
            .iter()
            .map(|edge| {
                // Most foreign keys reference the key itself, in some order: then no join is needed.
                let in_key_order: Option<Vec<&String>> = self
                    .key
                    .iter()
                    .map(|key| edge.referenced.iter().position(|name| *name == key.name).map(|i| &edge.columns[i]))
                    .collect();
                match in_key_order {
                    Some(columns) if edge.to == 0 && columns.len() == edge.columns.len() => {
                        self.among(name, columns, keys)
                    }
                    _ => {
                        let outer = format!("p{}_{name}", edge.to);
                        format!(
                            "({}) in (select {} from {} {outer} where {})",
                            idents(name, &edge.columns),
                            idents(&outer, &edge.referenced),
                            self.source(edge.to).sql(),
                            self.rows(edge.to, &outer, keys)
                        )
                    }
                }
            })
            .collect();
        if ways.len() == 1 { ways.concat() } else { format!("({})", ways.join("\n   or ")) }
    }

    /// The condition that `columns` name one of the given parent rows.
    fn among<'n>(&self, name: &str, columns: impl IntoIterator<Item = &'n String>, keys: Keys<'_>) -> String {
        let columns = idents(name, columns);
        match keys {
            Keys::Query(query) => format!("({columns}) in ({query})"),
            // An array is looked up in the index whatever the planner thinks of its length.
            Keys::Given if self.key.len() == 1 => format!("{columns} = any ($1::text[]::{}[])", self.key[0].kind),
            Keys::Given => {
                let arrays = self.key.iter().enumerate();
                let arrays: Vec<String> =
                    arrays.map(|(at, column)| format!("${}::text[]::{}[]", at + 1, column.kind)).collect();
                format!("({columns}) in (select * from unnest({}))", arrays.join(", "))
            }
        }
    }

    /// Deletes rows and, where they go to the archive, inserts exactly those.
    fn leave(&self, at: usize, rows: &str) -> String {
        let source = self.source(at).sql();
        match self.order.disposal {
            Disposal::Delete => format!(
                "with gone as (\n    delete from {source} t\n    where {rows}\n    returning 1\n)\n\
                 select (select count(*) from gone), (select count(*) from gone)"
            ),
            Disposal::Archive => {
                let columns = self.shape.nodes[at].columns.iter().map(|column| &column.name);
                let own = OWN.map(|(name, _)| ident(name)).join(", ");
                let (by, reason) = (self.key.len() + 1, self.key.len() + 2);
                format!(
                    "with gone as (\n    delete from {source} t\n    where {rows}\n    returning {}\n), kept as (\n    \
                     insert into {} ({}, {own})\n    select {}, now(), ${by}::text, ${reason}::text\n    from gone\n    \
                     returning 1\n)\nselect (select count(*) from gone), (select count(*) from kept)",
                    idents("t", columns.clone()),
                    self.archive[at].sql(),
                    idents("", columns.clone()),
                    idents("gone", columns),
                )
            }
        }
    }
}
