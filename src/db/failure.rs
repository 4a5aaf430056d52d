//! What a database error means for whoever asked.

use crate::outcome::Failure;

/// Says of a database error whether another attempt can help.
///
/// Classes by SQLSTATE (PostgreSQL documentation, appendix A): 08 connection, 40 rollback, 53 resources,
/// 55P03 lock, 57 operator intervention and 58 system pass by themselves; the rest needs a person.
pub fn failure(error: &sqlx::Error) -> Failure {
    let Some(database) = error.as_database_error() else {
        return Failure::later(format!("the database connection broke: {error}"));
    };
    let code = database.code().unwrap_or_default().into_owned();
    let why = format!("the database refused a statement: {} (SQLSTATE {code})", database.message());
    let passes = ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)) || code == "55P03";
    let failure = if passes { Failure::later(why) } else { Failure::never(why) };
    match code.as_str() {
        "42P01" => failure.help("check the table's name (schema.table) and that the target's user may see it"),
        "42501" => failure.help("grant the missing privilege to the target's user"),
        "28P01" | "28000" => failure.help("check the target's user and password in sexton.toml"),
        "3D000" => failure.help("check the database's name in the target's URL in sexton.toml"),
        _ => failure,
    }
}
