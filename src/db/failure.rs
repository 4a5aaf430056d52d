//! What a database error means for whoever asked.

use super::doubt;
use crate::outcome::Failure;

/// Says of a database error whether another attempt can help.
///
/// Classes by SQLSTATE (PostgreSQL documentation, appendix A): 08 connection, 28 login, 40 rollback, 53 resources,
/// 55P03 lock, 57 operator intervention and 58 system pass by themselves; the rest needs a person.
/// A server that takes no writes any more (25006), or that refuses a password (28), may be one that was left for another
/// host, or whose new password is on its way; that is looked into.
pub fn failure(error: &sqlx::Error) -> Failure {
    doubt_if_lost(error);
    let Some(database) = error.as_database_error() else {
        return Failure::later(format!("the database connection broke: {error}"));
    };
    let code = database.code().unwrap_or_default().into_owned();
    let why = format!("the database refused a statement: {} (SQLSTATE {code})", database.message());
    let passes =
        ["08", "25006", "28", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)) || code == "55P03";
    let failure = if passes { Failure::later(why) } else { Failure::never(why) };
    match code.as_str() {
        "42P01" => failure.help("check the table's name (schema.table) and that the target's user may see it"),
        "42501" => failure.help("grant the missing privilege to the target's user"),
        "28P01" | "28000" => failure.help("check the target's user and password in sexton.toml"),
        "3D000" => failure.help("check the database's name in the target's URL in sexton.toml"),
        _ => failure,
    }
}

/// Doubts the server where the error may come from its having been left, or from its having no room.
pub fn doubt_if_lost(error: &sqlx::Error) {
    let lost = match error.as_database_error() {
        Some(database) => database.code().is_some_and(|code| {
            code == "25006" || ["08", "28", "53", "57"].iter().any(|class| code.starts_with(class))
        }),
        None => !matches!(error, sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)),
    };
    if lost {
        doubt();
    }
}
