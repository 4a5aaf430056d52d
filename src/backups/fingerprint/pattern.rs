//! `pg_dump`'s patterns for tables (psql's manual, "Patterns") as regular expressions for schema and name.

/// The schema, where the pattern has one, and the name.
pub(super) fn regexes(pattern: &str) -> (Option<String>, String) {
    let (mut parts, mut quoted, mut chars) = (vec![String::new()], false, pattern.chars().peekable());
    while let Some(c) = chars.next() {
        let part = parts.last_mut().expect("one part at least");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            '*' if !quoted => part.push_str(".*"),
            '?' if !quoted => part.push('.'),
            // Unquoted, other signs of regular expressions keep their meaning; `$` never has one.
            '$' => part.push_str("\\$"),
            c if quoted && "|*+?()[]{}.^\\".contains(c) => part.extend(['\\', c]),
            c if quoted => part.push(c),
            c => part.extend(c.to_lowercase()),
        }
    }
    let whole = |part: String| format!("^({part})$");
    let name = parts.pop().map(whole).unwrap_or_default();
    (parts.pop().map(whole), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_pg_dump_reads_them() {
        for (pattern, schema, name) in [
            ("data_*_log", None, "^(data_.*_log)$"),
            ("public.Orders", Some("^(public)$"), "^(orders)$"),
            ("\"Odd.Schema\".\"a\"\"b*\"", Some("^(Odd\\.Schema)$"), "^(a\"b\\*)$"),
            ("a$b?", None, "^(a\\$b.)$"),
        ] {
            let (in_schema, called) = regexes(pattern);
            assert_eq!((in_schema.as_deref(), called.as_str()), (schema, name), "{pattern}");
        }
    }
}
