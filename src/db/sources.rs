//! Which tables of a target a migration may read: an allow-list of names with `*`.

/// Patterns of `schema.table`, spelled as the catalog has it; `*` stands for any text. An empty list allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<String>);

impl Sources {
    /// A list of patterns.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        Self(patterns.into_iter().collect())
    }

    /// Whether a table may be read.
    pub fn allow(&self, table: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, table))
    }

    /// Whether a table may be read that is only known by what a file says: without its schema it may be any.
    pub fn may_allow(&self, written: &str) -> bool {
        // What is quoted, or has no schema, only the target can tell.
        written.contains('"') || self.allow(written) || (!written.contains('.') && !self.0.is_empty())
    }

    /// What to write, so that `table` of `target` may be read.
    pub fn help(&self, target: &str, table: &str) -> String {
        let allowed = if self.0.is_empty() { String::new() } else { format!("; allowed are: {}", self.0.join(", ")) };
        format!("add sources = [{table:?}] to [targets.{target}] in sexton.toml{allowed}")
    }
}

/// Whether `text` is what `pattern` says.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("public.legacy_exceptions", "public.legacy_exceptions", true),
            ("public.legacy_exceptions", "public.legacy_exceptions2", false),
            ("public.legacy_*", "public.legacy_", true),
            ("public.legacy_*", "private.legacy_x", false),
            ("*", "a.b", true),
            ("*.legacy*_old", "x.legacy_y_old", true),
            ("a*a", "a", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn nothing_is_allowed_without_a_list_and_the_help_says_what_to_write() {
        let none = Sources::default();
        assert!(!none.allow("public.x") && !none.may_allow("x"));
        assert_eq!(none.help("c", "public.x"), r#"add sources = ["public.x"] to [targets.c] in sexton.toml"#);
        assert!(Sources::new(["public.*".to_owned()]).may_allow("x"));
    }
}
