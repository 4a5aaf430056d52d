//! `:ids` in a check's SQL: the list that the run was given, as a text array.

use super::super::sql::lex;
use crate::{
    dataset::{check::Check, quote::literal},
    outcome::Failure,
};

/// Writes the list into a check that asks for it.
pub(super) fn set(check: &mut Check, ids: Option<&[String]>) -> Result<(), Failure> {
    let Some(sql) = check.sql.as_mut().filter(|sql| sql.contains(":ids")) else { return Ok(()) };
    let name = &check.name;
    let split = lex::split(sql).map_err(|error| Failure::never(format!("the SQL of check `{name}`: {error}")))?;
    let [statement] = split.as_slice() else {
        return Err(Failure::never(format!("the SQL of check `{name}` is not one statement"))
            .help("a check is one query that returns the bad rows"));
    };
    if let Some(other) = statement.names.iter().find(|other| *other != "ids") {
        return Err(Failure::never(format!("`:{other}` in the SQL of check `{name}` stands for nothing"))
            .help("only `:ids` does; an array slice is written `a[1 : n]`"));
    }
    if statement.names.is_empty() {
        return Ok(());
    }
    let ids = ids.ok_or_else(|| {
        Failure::never(format!("check `{name}` asks for `:ids`, and this run has none"))
            .help("trigger the job with --param ids=TX-1,TX-2 (in JSON a list), or set `ids` in its file")
    })?;
    let list = ids.iter().map(|id| literal(id)).collect::<Vec<_>>().join(", ");
    *sql = statement.text(|_| format!("(array[{list}]::text[])"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str) -> Check {
        toml::from_str(&format!("name = 'x'\nsql = \"{sql}\"")).expect("a check")
    }

    #[test]
    fn the_list_is_text_wherever_it_comes_from() {
        let mut one = check("select i from unnest(:ids) i where i <> ':ids'::text");
        set(&mut one, Some(&["a".to_owned(), "b'); drop table t; --".to_owned()])).expect("a list");
        let text = "select i from unnest((array['a', 'b''); drop table t; --']::text[])) i where i <> ':ids'::text";
        assert_eq!(one.sql.as_deref(), Some(text));
    }

    #[test]
    fn a_check_that_asks_for_ids_needs_some() {
        let failure = set(&mut check("select :ids"), None).expect_err("no ids");
        assert!(failure.help.is_some_and(|help| help.contains("--param ids=")));
        set(&mut check("select 1"), None).expect("asks for nothing");
        assert!(set(&mut check("select :ids, :more"), Some(&[])).is_err());
    }
}
