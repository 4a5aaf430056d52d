//! What a dump's definitions say: its tables with their columns, what is a part of what, which keys lead where, and
//! the roles that must be there. Pure; reads what `pg_restore --schema-only` prints.

use std::collections::{BTreeMap, BTreeSet};

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// Tables by their quoted names.
    pub(super) tables: BTreeMap<String, Table>,
    /// Foreign keys.
    pub(super) keys: Vec<Key>,
    /// Roles that own or are granted something.
    pub(super) roles: BTreeSet<String>,
    /// Roles that a policy names: no flag of `pg_restore` leaves these out.
    pub(super) policy_roles: BTreeSet<String>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Columns that a dump has values of; inherited ones are the parent's.
    pub(super) columns: Vec<String>,
    /// The partitioned table that it is a part of.
    pub(super) part_of: Option<String>,
    /// Whether its rows are in its partitions.
    pub(super) is_partitioned: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// The table that refers.
    pub(super) child: String,
    /// Its own name, plain.
    pub(super) name: String,
    /// The table that is referred to.
    pub(super) parent: String,
}

impl Script {
    pub(super) fn read(text: &str) -> Self {
        let mut script = Self::default();
        for statement in statements(text) {
            script.add(&words(statement));
        }
        script
    }

    fn add(&mut self, words: &[Word<'_>]) {
        let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word.is(text));
        match words.first() {
            Some(word) if word.is("CREATE") => {
                let at = 1 + usize::from(is(1, "UNLOGGED"));
                if is(at, "TABLE")
                    && let Some((name, next)) = name(words, at + 1)
                {
                    self.tables.insert(name, table(&words[next..]));
                } else if is(1, "POLICY") {
                    self.policy_roles.extend(policy_roles(words));
                }
            }
            Some(word) if word.is("ALTER") => self.alter(words),
            Some(word) if word.is("GRANT") || word.is("REVOKE") => {
                let to = words.iter().rposition(|word| word.is("TO") || word.is("FROM"));
                self.roles.extend(to.into_iter().flat_map(|to| list(&words[to + 1..])));
            }
            _ => {}
        }
    }

    fn alter(&mut self, words: &[Word<'_>]) {
        let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word.is(text));
        if is(1, "DEFAULT") {
            // ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA … GRANT … TO b
            self.roles.extend(words.get(5).and_then(Word::role));
            if let Some(to) = words.iter().rposition(|word| word.is("TO") || word.is("FROM")) {
                self.roles.extend(list(&words[to + 1..]));
            }
            return;
        }
        if let [.., owner, to, role] = words
            && owner.is("OWNER")
            && to.is("TO")
        {
            self.roles.extend(role.role());
            return;
        }
        if !is(1, "TABLE") {
            return;
        }
        let Some((table, next)) = name(words, 2 + usize::from(is(2, "ONLY"))) else { return };
        if is(next, "ATTACH") && is(next + 1, "PARTITION") {
            if let Some((part, _)) = name(words, next + 2) {
                self.tables.entry(part).or_default().part_of = Some(table);
            }
        } else if is(next, "ADD") && is(next + 1, "CONSTRAINT") && is(next + 3, "FOREIGN") {
            let refers = words.iter().position(|word| word.is("REFERENCES"));
            let parent = refers.and_then(|at| name(words, at + 1));
            if let (Some(key), Some((parent, _))) = (words.get(next + 2), parent) {
                self.keys.push(Key { child: table, name: key.plain(), parent });
            }
        }
    }

    /// The tables that hold rows of this one: itself, or its partitions.
    pub(super) fn leaves(&self, table: &str) -> Vec<String> {
        let parts: Vec<_> =
            self.tables.iter().filter(|(_, part)| part.part_of.as_deref() == Some(table)).map(|(n, _)| n).collect();
        if parts.is_empty() {
            let holds = self.tables.get(table).is_some_and(|found| !found.is_partitioned);
            return holds.then(|| table.to_owned()).into_iter().collect();
        }
        parts.into_iter().flat_map(|part| self.leaves(part)).collect()
    }
}

/// A word of SQL, or one of its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a>(&'a str);

impl Word<'_> {
    pub(super) fn is(&self, text: &str) -> bool {
        self.0 == text
    }

    fn is_name(&self) -> bool {
        self.0.starts_with(|c: char| c == '"' || c == '_' || c.is_alphabetic())
    }

    /// Without its quotes.
    pub(super) fn plain(&self) -> String {
        match self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => inner.replace("\"\"", "\""),
            None => self.0.to_owned(),
        }
    }

    /// A role, unless everybody is meant.
    fn role(&self) -> Option<String> {
        let special = ["PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"].contains(&self.0);
        (self.is_name() && !special).then(|| self.plain())
    }
}

/// `schema.table` at this place, as it is written, and what follows.
fn name(words: &[Word<'_>], at: usize) -> Option<(String, usize)> {
    let (schema, dot, table) = (words.get(at)?, words.get(at + 1)?, words.get(at + 2)?);
    (schema.is_name() && dot.is(".") && table.is_name()).then(|| (format!("{}.{}", schema.0, table.0), at + 3))
}

/// Roles in a list, up to what is none.
fn list(words: &[Word<'_>]) -> Vec<String> {
    let mut roles = Vec::new();
    for pair in words.chunks(2) {
        roles.extend(pair[0].role());
        if !pair.get(1).is_some_and(|mark| mark.is(",")) {
            break;
        }
    }
    roles
}

fn policy_roles(words: &[Word<'_>]) -> Vec<String> {
    let end = words.iter().position(|word| word.is("USING") || word.is("WITH")).unwrap_or(words.len());
    let to = words[..end].iter().position(|word| word.is("TO"));
    to.map(|to| list(&words[to + 1..end])).unwrap_or_default()
}

/// What follows a table's name in its definition.
fn table(words: &[Word<'_>]) -> Table {
    let mut table = Table::default();
    let (mut depth, mut column): (usize, Vec<Word<'_>>) = (0, Vec::new());
    let mut close = |column: &mut Vec<Word<'_>>| {
        let first = column.first().filter(|word| word.is_name() && !word.is("CONSTRAINT") && !word.is("LIKE"));
        let made = column.windows(2).any(|pair| pair[0].is("GENERATED") && pair[1].is("ALWAYS"))
            && !column.iter().any(|word| word.is("IDENTITY"));
        if let Some(first) = first.filter(|_| !made) {
            table.columns.push(first.plain());
        }
        column.clear();
    };
    let mut body = words.iter();
    for word in body.by_ref() {
        match word.0 {
            "(" if depth == 0 => depth = 1,
            // `OF type`, `PARTITION OF`: not what pg_dump writes for a table with columns of its own.
            _ if depth == 0 => return Table::default(),
            "," if depth == 1 => close(&mut column),
            ")" if depth == 1 => {
                close(&mut column);
                break;
            }
            text => {
                depth = match text {
                    "(" | "[" => depth + 1,
                    ")" | "]" => depth - 1,
                    _ => depth,
                };
                column.push(*word);
            }
        }
    }
    table.is_partitioned = body.as_slice().first().is_some_and(|word| word.is("PARTITION"));
    table
}

/// The statements of a text; what is quoted, however, and comments end none.
pub(super) fn statements(text: &str) -> Vec<&str> {
    let (mut found, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        let end = at + token(&text[at..]);
        if &text[at..end] == ";" {
            found.push(&text[begin..at]);
            begin = end;
        }
        at = end;
    }
    found.push(&text[begin..]);
    found
}

/// Words and marks, without blanks and comments.
pub(super) fn words(statement: &str) -> Vec<Word<'_>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < statement.len() {
        let end = at + token(&statement[at..]);
        let word = &statement[at..end];
        if !word.starts_with("--") && !word.starts_with('\\') && !word.trim().is_empty() {
            found.push(Word(word));
        }
        at = end;
    }
    found
}

/// How long the first token is. `psql`'s own commands, which take a line, count as one.
fn token(text: &str) -> usize {
    let first = text.chars().next().unwrap_or(' ');
    let until = |mark: char, from: usize| text[from..].find(mark).map_or(text.len(), |at| from + at + 1);
    let name = |c: char| c == '_' || c == '$' || c.is_alphanumeric();
    match first {
        '\'' => until('\'', 1),
        // A doubled quote is two names in a row, which only matters to names.
        '"' => {
            let mut end = until('"', 1);
            while text[end..].starts_with('"') {
                end = until('"', end + 1);
            }
            end
        }
        '-' if text.starts_with("--") => until('\n', 2),
        '\\' => until('\n', 1),
        '$' => {
            let tag = text[1..].find('$').map(|at| &text[..at + 2]);
            match tag.filter(|tag| tag[1..tag.len() - 1].chars().all(name)) {
                Some(tag) => text[tag.len()..].find(tag).map_or(text.len(), |at| at + 2 * tag.len()),
                None => 1,
            }
        }
        c if name(c) => text.find(|c: char| !name(c)).unwrap_or(text.len()),
        c if c.is_whitespace() => text.find(|c: char| !c.is_whitespace()).unwrap_or(text.len()),
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
\restrict abc
-- Name: x; Type: TABLE
CREATE SCHEMA "Odd; Schema";
ALTER SCHEMA "Odd; Schema" OWNER TO "Odd ""Role";
CREATE TABLE public.a (
    id integer NOT NULL,
    note text DEFAULT 'a, (b;'::text,
    n numeric(10,2) GENERATED ALWAYS AS ((id * 2)) STORED,
    "Col (""1" integer[],
    k bigint GENERATED ALWAYS AS IDENTITY,
    CONSTRAINT a_check CHECK ((id > 0))
);
CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $_$ grant select on x to nobody; $_$;
CREATE TABLE public.p (
    at date
)
PARTITION BY RANGE (at);
CREATE UNLOGGED TABLE public.p1 (
    at date
);
ALTER TABLE ONLY public.p ATTACH PARTITION public.p1 DEFAULT;
ALTER TABLE ONLY public.a
    ADD CONSTRAINT "a fk" FOREIGN KEY (id) REFERENCES public.p(at) DEFERRABLE;
CREATE POLICY p ON public.a FOR SELECT TO app, PUBLIC USING ((note = 'TO x'::text));
GRANT SELECT ON TABLE public.a TO reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO looker;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
"#;

    #[test]
    fn definitions_are_read_as_they_are_meant() {
        let script = Script::read(TEXT);
        assert_eq!(script.tables["public.a"].columns, ["id", "note", "Col (\"1", "k"]);
        assert_eq!(script.leaves("public.p"), ["public.p1"]);
        assert_eq!(script.leaves("public.a"), ["public.a"]);
        let roles: Vec<_> = script.roles.iter().map(String::as_str).collect();
        assert_eq!(roles, ["Odd \"Role", "looker", "maker", "reader"]);
        assert_eq!(script.policy_roles.iter().collect::<Vec<_>>(), ["app"]);
        let key = Key { child: "public.a".into(), name: "a fk".into(), parent: "public.p".into() };
        assert_eq!(script.keys, [key]);
    }
}
