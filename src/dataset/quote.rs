//! Names and texts as SQL: the one place in Rust where one becomes part of a statement.
//!
//! What moves rows quotes in the target itself, with PostgreSQL's `format`; whatever a name contains, it stays a
//! name.

/// A name, quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, quoted, whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_contains_it_stays_a_name() {
        assert_eq!(ident(r#"x"; drop table y; --"#), r#""x""; drop table y; --""#);
    }

    #[test]
    fn whatever_a_text_contains_it_stays_a_text() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\'; drop"), r" E'\\''; drop'");
    }
}
