//! What goes with a database beside its contents: `ALTER DATABASE … SET`.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    backups::manifest::Setting,
    dataset::quote::{ident, literal},
};

/// Their values are lists of names.
const LISTS: [&str; 6] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "shared_preload_libraries",
    "local_preload_libraries",
    "unix_socket_directories",
];

/// Gives a database these settings; those of single roles only if `owners`. Returns what was refused, a line each.
pub(super) async fn apply(
    connection: &mut PgConnection,
    database: &str,
    settings: &[Setting],
    owners: bool,
) -> Vec<String> {
    let mut refused = Vec::new();
    for setting in settings.iter().filter(|setting| owners || setting.role.is_none()) {
        let statement = statement(database, setting);
        if let Err(error) = sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await {
            let why = error.as_database_error().map_or(error.to_string(), |error| error.message().to_owned());
            let role = setting.role.as_ref().map(|role| format!(" of role {role}")).unwrap_or_default();
            refused.push(format!("the setting {}{role} could not be made: {why}", setting.name));
        }
    }
    refused
}

fn statement(database: &str, setting: &Setting) -> String {
    let name: Vec<String> = setting.name.split('.').map(ident).collect();
    let name = name.join(".");
    let value = if LISTS.contains(&setting.name.as_str()) {
        let items: Vec<String> = items(&setting.value).iter().map(|item| literal(item)).collect();
        // An empty list is one empty name.
        if items.is_empty() { "''".to_owned() } else { items.join(", ") }
    } else {
        literal(&setting.value)
    };
    match &setting.role {
        Some(role) => format!("alter role {} in database {} set {name} to {value}", ident(role), ident(database)),
        None => format!("alter database {} set {name} to {value}", ident(database)),
    }
}

/// The names in a list, as PostgreSQL keeps it: `"$user", public`.
fn items(list: &str) -> Vec<String> {
    let (mut found, mut item, mut inside, mut chars) = (Vec::new(), String::new(), false, list.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => {
                chars.next();
                item.push('"');
            }
            '"' => inside = !inside,
            ',' if !inside => found.push(std::mem::take(&mut item)),
            c if c.is_whitespace() && !inside => {}
            c => item.push(c),
        }
    }
    found.push(item);
    found.retain(|item| !item.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_stays_a_list_and_a_text_a_text() {
        let setting = |name: &str, value: &str| Setting { role: None, name: name.to_owned(), value: value.to_owned() };
        let path = statement("x", &setting("search_path", "\"$user\", \"Odd, S\", public"));
        assert_eq!(path, "alter database \"x\" set \"search_path\" to '$user', 'Odd, S', 'public'");
        assert_eq!(statement("x", &setting("search_path", "\"\"")), "alter database \"x\" set \"search_path\" to ''");
        let own = Setting { role: Some("r".to_owned()), ..setting("app.x", "it's, so") };
        assert_eq!(statement("x", &own), "alter role \"r\" in database \"x\" set \"app\".\"x\" to 'it''s, so'");
    }
}
