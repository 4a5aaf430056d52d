//! Splits a text of SQL into statements and finds its parameters, written `:name`.
//!
//! Only as much of PostgreSQL's lexer as that takes: strings, quoted names, dollar quotes, comments and casts are
//! passed over; what is inside them is never a parameter or the end of a statement.

/// One statement, without its semicolon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::kinds) struct Statement {
    /// The text around the parameters: always one piece more than there are parameters.
    pub(in crate::kinds) pieces: Vec<String>,
    /// The parameters by position; one that is used twice is here twice.
    pub(in crate::kinds) names: Vec<String>,
}

impl Statement {
    /// The text with each parameter, counted from 0, as `write` writes it.
    pub(in crate::kinds) fn text(&self, write: impl Fn(usize) -> String) -> String {
        let mut text = String::new();
        for (place, piece) in self.pieces.iter().enumerate() {
            text.push_str(piece);
            if place < self.names.len() {
                text.push_str(&write(place));
            }
        }
        text.trim().to_owned()
    }

    /// The first word, in lower case; comments before it do not count.
    pub(in crate::kinds) fn verb(&self) -> String {
        let first = self.pieces.first().map(String::as_str).unwrap_or_default();
        let mut rest = first.trim_start();
        loop {
            let comment = if rest.starts_with("--") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                block_comment(rest).unwrap_or(rest.len())
            } else {
                break;
            };
            rest = rest[comment..].trim_start();
        }
        rest.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>().to_lowercase()
    }
}

/// Why a text cannot be split.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(in crate::kinds) enum LexError {
    #[error("a {0} that begins in line {1} does not end")]
    Open(&'static str, usize),
    #[error("`${0}` in line {1}: parameters are written `:name`, not by number")]
    Numbered(String, usize),
}

/// All statements of `sql`; empty ones are left out.
pub(in crate::kinds) fn split(sql: &str) -> Result<Vec<Statement>, LexError> {
    let mut statements = Vec::new();
    let mut now = Statement::default();
    let mut piece = String::new();
    let mut at = 0;
    while let Some(c) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let line = || sql[..at].lines().count().max(1);
        let before = sql[..at].chars().next_back();
        let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
        let passed = match c {
            '\'' => quoted(rest, '\'', escapes(&sql[..at])).ok_or_else(|| LexError::Open("string", line()))?,
            '"' => quoted(rest, '"', false).ok_or_else(|| LexError::Open("quoted name", line()))?,
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest).ok_or_else(|| LexError::Open("comment", line()))?,
            '$' if !in_word => dollar(rest, line())?,
            ':' if rest.starts_with("::") || rest.starts_with(":=") => 2,
            ':' => {
                let name = word(&rest[1..]);
                if name.is_empty() {
                    1
                } else {
                    now.pieces.push(std::mem::take(&mut piece));
                    now.names.push(name.to_owned());
                    at += 1 + name.len();
                    continue;
                }
            }
            ';' => {
                now.pieces.push(std::mem::take(&mut piece));
                statements.push(std::mem::take(&mut now));
                at += 1;
                continue;
            }
            _ => c.len_utf8(),
        };
        piece.push_str(&rest[..passed]);
        at += passed;
    }
    now.pieces.push(piece);
    statements.push(now);
    statements.retain(|statement| !statement.verb().is_empty() || statement.text(|_| "?".into()).starts_with('('));
    Ok(statements)
}

/// The name at the start of `text`, as parameters are named.
fn word(text: &str) -> &str {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if starts { &text[..end] } else { "" }
}

/// Whether a string that starts after `before` has backslash escapes: `E'…'`.
fn escapes(before: &str) -> bool {
    let mut back = before.chars().rev();
    back.next().is_some_and(|c| c.eq_ignore_ascii_case(&'e'))
        && back.next().is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '$'))
}

/// The length of a quoted text with both quotes; a doubled quote stands for one.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + 1);
        }
    }
    None
}

/// The length of a comment in `/* … */`, which nest.
fn block_comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_u32, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// The length of a dollar quote, or of a lone `$`.
fn dollar(text: &str, line: usize) -> Result<usize, LexError> {
    let inside = &text[1..];
    let digits: String = inside.chars().take_while(char::is_ascii_digit).collect();
    if !digits.is_empty() {
        return Err(LexError::Numbered(digits, line));
    }
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    if !inside[end..].starts_with('$') {
        return Ok(1);
    }
    let tag = &text[..end + 2];
    let body = &text[tag.len()..];
    body.find(tag).map(|at| tag.len() * 2 + at).ok_or(LexError::Open("dollar-quoted text", line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str) -> Vec<String> {
        let statements = split(sql).expect("statements");
        statements.iter().map(|one| one.text(|place| format!("<{}>", one.names[place]))).collect()
    }

    #[test]
    fn a_parameter_is_a_name_after_one_colon() {
        assert_eq!(shown("select :a + :b_2, :a"), ["select <a> + <b_2>, <a>"]);
        assert_eq!(shown("select now()::date, x::text, f(a := 1), y[1 : 2]").len(), 1);
        assert_eq!(shown("select :day::date"), ["select <day>::date"]);
    }

    #[test]
    fn nothing_in_quotes_or_comments_is_a_parameter_or_an_end() {
        for sql in [
            "select ':a;' || 'it''s :b;'",
            "select E'\\':a;'",
            "select \"odd:a;\"",
            "select $$ :a; $$ || $x$ $$ :b; $x$",
            "select 1 -- :a;",
            "select 1 /* :a; /* nested */ ; */ + 1",
            "select type':a;'",
        ] {
            let statements = split(sql).expect("a statement");
            assert_eq!(statements.len(), 1, "{sql}");
            assert!(statements[0].names.is_empty(), "{sql}");
            assert_eq!(statements[0].text(|_| String::new()), sql);
        }
    }

    #[test]
    fn statements_are_split_and_empty_ones_left_out() {
        assert_eq!(shown(";; vacuum a; -- nothing\n; analyze b;\n"), ["vacuum a", "analyze b"]);
        let verbs: Vec<_> = split("-- why\n/* how */ DELETE from t; (select 1)").expect("two");
        assert_eq!(verbs[0].verb(), "delete");
        assert_eq!(verbs.len(), 2);
    }

    #[test]
    fn what_does_not_end_is_told_with_its_line() {
        assert_eq!(split("select 1,\n 'abc"), Err(LexError::Open("string", 2)));
        assert_eq!(split("select $$abc"), Err(LexError::Open("dollar-quoted text", 1)));
        assert_eq!(split("select $1"), Err(LexError::Numbered("1".into(), 1)));
    }
}
