//! The text of checks that `sexton db install` stores in a target, for the function that people call there.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Cannot, Check, Facts};
use crate::dataset::{Definition, Error};

/// The suite whose checks are stored: `validate_migrated_data()` runs them in their order.
pub const MIGRATED: &str = "migrated";

/// What `sexton.dataset.checks` holds for a data set: a list of `{"name": …, "sql": …}`, each query returning the bad
/// rows; or with `cannot` and `help` instead, where a check makes no sense on this target. One about a table that is not
/// there is left out.
pub async fn stored(conn: &mut PgConnection, dataset: &Definition) -> Result<Value, Error> {
    let checks: Vec<&Check> =
        dataset.check.iter().filter(|check| check.suite.iter().any(|suite| suite == MIGRATED)).collect();
    let facts = Facts::read(conn, Some(dataset), &checks).await?;
    let mut list = Vec::new();
    for check in checks {
        match facts.query(check, Some(dataset)) {
            Ok(query) => list.push(json!({ "name": check.name, "sql": query.rows })),
            Err(Cannot::Missing(_)) => {}
            // The function says so when it is called: a data set of another database must not stop an installation.
            Err(Cannot::Wrong { why, help }) => list.push(json!({ "name": check.name, "cannot": why, "help": help })),
        }
    }
    Ok(Value::Array(list))
}
