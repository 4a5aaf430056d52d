//! Into which database a backup goes. Pure.

use chrono::{DateTime, Utc};

use super::{
    preview::{Mode, Problem},
    server::Present,
};

/// How long a database's name may be, in bytes.
const LONGEST: usize = 63;

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A database that is made.
    New(String),
    /// A database that is there and has no tables.
    Empty(String),
    /// A database that is made and then takes the name of another.
    Beside {
        /// What is made.
        made: String,
        /// Whose name it takes.
        instead_of: String,
    },
    /// The tables of a database that is there.
    Onto(String),
}

impl Place {
    /// The database that is made or filled.
    pub(super) fn filled(&self) -> &str {
        match self {
            Self::New(name) | Self::Empty(name) | Self::Beside { made: name, .. } | Self::Onto(name) => name,
        }
    }

    /// The database whose name is taken.
    pub(super) fn replaces(&self) -> Option<&str> {
        match self {
            Self::Beside { instead_of, .. } => Some(instead_of),
            _ => None,
        }
    }

    /// Whether the database is made.
    pub(super) fn is_made(&self) -> bool {
        matches!(self, Self::New(_) | Self::Beside { .. })
    }
}

/// What is asked for, as far as the place depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) mode: Mode,
    /// Rows of some tables alone.
    pub(super) part: bool,
    /// The database that is named.
    pub(super) database: Option<&'a str>,
    /// The database that the login leads to.
    pub(super) login: &'a str,
    /// The database that was dumped.
    pub(super) source: &'a str,
    pub(super) swap: bool,
}

impl Asked<'_> {
    /// The database that is looked at before it is decided.
    pub(super) fn wanted(&self, now: DateTime<Utc>) -> String {
        match self.database {
            Some(name) => name.to_owned(),
            None if self.mode == Mode::DataOnly || self.swap => self.login.to_owned(),
            None => beside(self.source, "restore", now),
        }
    }

    /// The database that would be made, if its name hangs on the time.
    pub(super) fn made(&self, now: DateTime<Utc>) -> Option<String> {
        match self.database {
            _ if self.swap => Some(beside(&self.wanted(now), "restore", now)),
            None if self.mode != Mode::DataOnly => Some(self.wanted(now)),
            _ => None,
        }
    }
}

/// Decides, knowing what is there under the wanted name.
pub(super) fn place(asked: Asked<'_>, there: Option<&Present>, now: DateTime<Utc>) -> Result<Place, Problem> {
    let name = asked.wanted(now);
    let refused = |what: String, help: &str| Err(Problem::new(what, help));
    if asked.swap && there.is_some() && (asked.part || asked.mode != Mode::Full) {
        let what = "only a whole backup takes the place of a database";
        return refused(what.to_owned(), "leave --swap out: it goes into a new database, from which you can copy");
    }
    if asked.mode == Mode::SchemaOnly && asked.part {
        let help = "leave the tables out, or restore --mode full: it also has all definitions";
        return refused("definitions are restored whole, not of single tables".to_owned(), help);
    }
    match (asked.mode, there) {
        (Mode::DataOnly, None) => {
            refused(format!("there is no database {name} whose tables could be filled"), "name one with --database")
        }
        (Mode::DataOnly, Some(_)) => Ok(Place::Onto(name)),
        (_, None) => Ok(Place::New(name)),
        (_, Some(_)) if asked.swap => Ok(Place::Beside { made: beside(&name, "restore", now), instead_of: name }),
        (_, Some(present)) if present.tables.is_empty() => Ok(Place::Empty(name)),
        (_, Some(present)) => refused(
            format!("database {name} is there, with {}; nothing in it is overwritten", present.told()),
            "name a new one with --database, or add --swap: it is restored beside it, compared, and takes its name; \
             the old one is kept",
        ),
    }
}

/// `NAME_WORD_YYYYMMDDHHMMSS`, not longer than a name may be.
pub(super) fn beside(name: &str, word: &str, now: DateTime<Utc>) -> String {
    let end = format!("_{word}_{}", now.format("%Y%m%d%H%M%S"));
    let mut from = name;
    while from.len() + end.len() > LONGEST {
        let last = from.chars().next_back().map_or(0, char::len_utf8);
        from = &from[..from.len() - last];
    }
    format!("{from}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(mode: Mode, database: Option<&str>, swap: bool) -> Asked<'_> {
        Asked { mode, part: false, database, login: "main", source: "shop", swap }
    }

    #[test]
    fn nothing_that_is_there_is_ever_overwritten() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let full = Present { is_ours: true, bytes: None, sessions: 0, tables: vec![("a.b".into(), 1)], exact: true };
        let empty = Present { tables: Vec::new(), ..full.clone() };
        let new = place(asked(Mode::Full, None, false), None, now);
        assert_eq!(asked(Mode::Full, None, false).made(now).as_deref(), Some("shop_restore_20231114221320"));
        assert_eq!(new, Ok(Place::New("shop_restore_20231114221320".to_owned())));
        assert_eq!(place(asked(Mode::Full, Some("x"), true), None, now), Ok(Place::New("x".to_owned())));
        assert!(place(asked(Mode::Full, Some("x"), false), Some(&full), now).is_err_and(|p| p.what.contains("1 rows")));
        assert_eq!(place(asked(Mode::Full, Some("x"), false), Some(&empty), now), Ok(Place::Empty("x".to_owned())));
        let swapped = place(asked(Mode::Full, None, true), Some(&full), now).expect("a place");
        assert_eq!((swapped.filled(), swapped.replaces()), ("main_restore_20231114221320", Some("main")));
        assert_eq!(asked(Mode::Full, None, true).made(now).as_deref(), Some(swapped.filled()));
        assert_eq!(asked(Mode::Full, Some("x"), false).made(now), None);
        assert_eq!(asked(Mode::DataOnly, None, false).made(now), None);
        assert!(place(asked(Mode::SchemaOnly, Some("x"), true), Some(&full), now).is_err());
        assert!(place(asked(Mode::DataOnly, Some("x"), false), None, now).is_err());
    }

    #[test]
    fn a_long_name_is_cut_where_a_letter_ends() {
        let name = beside(&"ä".repeat(31), "restore", Utc::now());
        assert!(name.len() <= LONGEST && name.starts_with("ää") && name.contains("_restore_"), "{name}");
    }
}
