//! What is said before and after rows that are loaded into tables which are there. Pure.

use crate::dataset::quote::literal;

/// A foreign key of the tables, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) drop: String,
    pub(super) add: String,
    /// Gives it its comment again.
    pub(super) comment: String,
    /// True where a row breaks it; none for a key that nobody has validated.
    pub(super) broken: Option<String>,
}

/// A trigger that must not fire.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Trigger {
    pub(super) stop: String,
    pub(super) again: String,
}

/// All that goes around the rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// Quoted names.
    pub(super) tables: Vec<String>,
    /// Whether the session may be a replica's: then no key and no trigger need be touched.
    pub(super) replica: bool,
    pub(super) keys: Vec<Key>,
    pub(super) triggers: Vec<Trigger>,
    /// Materialized views that are refreshed, quoted, in this order.
    pub(super) views: Vec<String>,
}

impl Around {
    /// Begins the transaction, keeps others out, and makes sure that nobody came in since the tables were looked at.
    pub(super) fn before(&self) -> String {
        let mut sql = vec![
            "begin".to_owned(),
            "set local statement_timeout = 0".to_owned(),
            "set local idle_in_transaction_session_timeout = 0".to_owned(),
            "set local lock_timeout = '60s'".to_owned(),
        ];
        if !self.tables.is_empty() {
            let only: Vec<String> = self.tables.iter().map(|table| format!("only {table}")).collect();
            sql.push(format!("lock table {} in share row exclusive mode", only.join(", ")));
        }
        let filled = |table: &String| {
            let what = literal(&format!("table {table} has rows since it was looked at"));
            raise_if(&format!("exists (select from only {table})"), &what)
        };
        sql.push(check(self.tables.iter().map(filled)));
        if self.replica {
            sql.push("set local session_replication_role = replica".to_owned());
        } else {
            sql.extend(self.keys.iter().map(|key| key.drop.clone()));
        }
        sql.extend(self.triggers.iter().map(|trigger| trigger.stop.clone()));
        text(sql)
    }

    /// Puts everything back, checks every key, refreshes what was materialized, and commits.
    pub(super) fn after(&self) -> String {
        // The dump's script has set a path of its own.
        let mut sql = vec!["reset search_path".to_owned()];
        sql.extend(self.triggers.iter().map(|trigger| trigger.again.clone()));
        if self.replica {
            sql.push("set local session_replication_role = origin".to_owned());
            let broken = self.keys.iter().filter_map(|key| {
                let what = literal(&format!("the rows break the foreign key {}", key.name));
                Some(raise_if(key.broken.as_deref()?, &what))
            });
            sql.push(check(broken));
        } else {
            for key in &self.keys {
                sql.push(key.add.clone());
                if !key.comment.ends_with(" is NULL") {
                    sql.push(key.comment.clone());
                }
            }
        }
        sql.extend(self.views.iter().map(|view| format!("refresh materialized view {view}")));
        sql.push("commit".to_owned());
        text(sql)
    }
}

fn raise_if(condition: &str, what: &str) -> String {
    format!("if {condition} then raise exception using message = {what}; end if;")
}

/// Checks as one statement; a tag that nobody's name contains.
fn check(lines: impl Iterator<Item = String>) -> String {
    let tag = format!("$sexton_{}$", uuid::Uuid::new_v4().simple());
    let lines: Vec<String> = lines.collect();
    format!("do {tag} begin {} null; end {tag}", lines.join("\n"))
}

fn text(statements: Vec<String>) -> String {
    statements.into_iter().map(|statement| statement + ";\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_touched_only_where_a_session_may_be_no_replica() {
        let key = Key {
            name: "public.a k".to_owned(),
            drop: "DROP".to_owned(),
            add: "ADD".to_owned(),
            comment: "comment on constraint k on public.a is NULL".to_owned(),
            broken: Some("BROKEN".to_owned()),
        };
        let mut around = Around { tables: vec!["public.a".to_owned()], keys: vec![key], ..Around::default() };
        assert!(around.before().contains("DROP;") && around.after().contains("ADD;"));
        assert!(!around.after().contains("comment on"));
        around.replica = true;
        assert!(!around.before().contains("DROP;") && around.after().contains("if BROKEN then"));
        assert!(around.before().starts_with("begin;") && around.after().ends_with("commit;\n"));
    }
}
