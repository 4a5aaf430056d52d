//! Why a data set's rows cannot be looked at or moved, and what to do about it.

use super::quote::Table;

/// Why a data set's rows cannot be looked at or moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table is not there, or the user may not see its schema.
    #[error("there is no table `{name}` in database `{database}`")]
    NoTable {
        /// As the definition spells it.
        name: String,
        /// Where it was looked for.
        database: String,
        /// The most similar name that is there.
        near: Option<String>,
    },
    /// Something of that name is there, but its rows cannot be moved.
    #[error("`{name}` is {what}, no table whose rows can be moved")]
    NoPlainTable {
        /// As the definition spells it.
        name: String,
        /// What it is instead.
        what: &'static str,
    },
    /// A column that the definition names is not there.
    #[error("table `{table}` has no column `{column}` (the data set's `{key}`)")]
    NoColumn {
        /// The table.
        table: Table,
        /// The missing column.
        column: String,
        /// The definition's key that names it.
        key: &'static str,
        /// The most similar one that is there.
        near: Option<String>,
    },
    /// The age column has a type that tells no age.
    #[error("column `{column}` of `{table}` is `{kind}`; an age is told by timestamptz, timestamp or date")]
    NoTime {
        /// The table.
        table: Table,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// The key may name two rows.
    #[error("`{columns}` is no unique, non-null key of `{table}`")]
    NotAKey {
        /// The table.
        table: Table,
        /// The definition's key.
        columns: String,
    },
    /// A predicate is no SQL condition on the table.
    #[error("the data set's `{key}` (`{text}`) is no condition on `{table}`: {message}")]
    Predicate {
        /// The table.
        table: Table,
        /// The definition's key.
        key: &'static str,
        /// The predicate.
        text: String,
        /// What PostgreSQL said.
        message: String,
    },
    /// The definition lacks what the job needs.
    #[error("the data set has no `{0}`, which this job needs")]
    Undefined(&'static str),
    /// A listed child references nothing of the data set.
    #[error("`{0}` is listed as a child, but no foreign key of it leads to the data set")]
    NoChild(Table),
    /// A table that is not listed would lose rows.
    #[error(
        "rows of `{child}` would be changed or deleted with their parent (foreign key `{constraint}`), but it is not listed as a child"
    )]
    Unlisted {
        /// The table that is not listed.
        child: Table,
        /// Its foreign key.
        constraint: String,
    },
    /// Tables that reference one another in a ring.
    #[error("`{0}` references itself, directly or through others: its rows have no order in which they can be moved")]
    Ring(Table),
    /// Deleting a parent row would scan the whole child.
    #[error("`{table}` has no index on ({columns}): each step would read the whole table")]
    Unindexed {
        /// The child.
        table: Table,
        /// Its foreign key's columns.
        columns: String,
        /// The statement that makes the index.
        fix: String,
    },
    /// A main table uses the name of one of the archive's own columns.
    #[error("`{table}` has a column `{column}`, a name that its archive needs for itself")]
    Reserved {
        /// The table.
        table: Table,
        /// The column.
        column: String,
    },
    /// The archive differs from main in a way that only a person can mend.
    #[error("archive `{archive}` does not match `{table}`: {what}")]
    Drift {
        /// The main table.
        table: Table,
        /// Its archive; boxed, since two tables would make every result large.
        archive: Box<Table>,
        /// The difference.
        what: String,
        /// The statement that mends it.
        fix: String,
    },
    /// The archive is not there, but rows are to be taken from it.
    #[error("there is no archive `{0}` yet")]
    NoArchive(String),
    /// The target lacks the step table.
    #[error("database `{0}` lacks the table sexton.step, without which nothing is moved")]
    NotInstalled(String),
    /// The step table is newer than this binary.
    #[error("what Sexton installed in database `{database}` has version {found}; this binary knows {known}")]
    Newer {
        /// Which database.
        database: String,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// A newer attempt of the run has begun: this one must not change anything any more.
    #[error("a newer attempt of this run has taken over; this one has changed nothing since")]
    Superseded,
    /// A step would have lost or doubled rows; it was rolled back.
    #[error("a step was rolled back: of `{table}` {deleted} rows left and {kept} arrived, {expected} were expected")]
    Unbalanced {
        /// The table.
        table: Table,
        /// Rows deleted.
        deleted: i64,
        /// Rows inserted into the archive.
        kept: i64,
        /// Rows locked.
        expected: i64,
    },
    /// The stored cursor cannot be read.
    #[error("the checkpoint in sexton.step cannot be read: {0}")]
    Cursor(#[from] serde_json::Error),
    /// The database refused, or cannot be reached.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// The database did not answer in time.
    #[error("the database did not answer within {0} s")]
    Silent(u64),
}

impl Error {
    /// What to do about it, where we know. `target` is the name in the settings.
    pub fn help(&self, target: &str) -> Option<String> {
        let did_you_mean = |near: &Option<String>| near.as_ref().map(|near| format!("did you mean `{near}`? "));
        Some(match self {
            Self::NoTable { near, .. } => format!(
                "{}correct the name in jobs/datasets/ (schema.table, spelled as the catalog has it), or check that \
                 [targets.{target}] leads to the right database and that its user may use the schema",
                did_you_mean(near).unwrap_or_default()
            ),
            Self::NoColumn { near, .. } => {
                format!("{}correct the name in jobs/datasets/", did_you_mean(near).unwrap_or_default())
            }
            Self::NoPlainTable { .. } | Self::NoTime { .. } => "name another one in jobs/datasets/".to_owned(),
            Self::NotAKey { table, .. } => {
                format!("list the columns of {table}'s primary key as `key` in jobs/datasets/")
            }
            Self::Predicate { .. } => "correct it in jobs/datasets/".to_owned(),
            Self::Undefined(key) => format!("add `{key}` to the data set in jobs/datasets/"),
            Self::NoChild(_) => "take it off the list in jobs/datasets/, or add the foreign key".to_owned(),
            Self::Unlisted { child, .. } => {
                format!("add \"{child}\" to `children` in jobs/datasets/, or write children = \"foreign keys\"")
            }
            Self::Ring(_) => "drop the foreign key that closes the ring, or list the children without it".to_owned(),
            Self::Unindexed { fix, .. } | Self::Drift { fix, .. } => format!("run on the target: {fix}"),
            Self::Reserved { .. } => "rename the column, or choose another table".to_owned(),
            Self::NoArchive(_) => "archive some rows first; the archive tables are made then".to_owned(),
            Self::NotInstalled(_) => format!("run `sexton db install --target {target}`"),
            Self::Newer { .. } => "run the newer Sexton".to_owned(),
            Self::Unbalanced { .. } => {
                "look for a trigger or rule on these tables that swallows or adds rows".to_owned()
            }
            Self::Cursor(_) | Self::Superseded | Self::Sql(_) | Self::Silent(_) => return None,
        })
    }
}

/// The most similar of `names` to `wanted`, if one is similar enough to be meant.
pub(super) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}
