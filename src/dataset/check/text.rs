//! From a check to the query that returns its bad rows.

use super::{
    Accepted, Bound, Check, Facts, Form, Freshness, NotNull, Range, Reference, Unique, Values, Volume, facts::Table,
};
use crate::{
    dataset::{
        Definition,
        quote::{ident, literal},
    },
    span::Span,
};

/// A check as SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Returns the bad rows: first the columns that name one, then what is wrong with it.
    pub rows: String,
    /// Counts the rows that were looked at, where that makes sense.
    pub looked: Option<String>,
    /// The columns of `rows` that name a bad row; `None` for all of them. An empty list says that it is always the
    /// same one.
    pub key: Option<Vec<String>>,
}

/// Why a check has no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cannot {
    /// Something that it needs is not there: it is skipped.
    Missing(String),
    /// It makes no sense on this target.
    Wrong {
        /// What is wrong.
        why: String,
        /// What to do.
        help: String,
    },
}

pub(super) fn wrong(why: impl Into<String>, help: impl Into<String>) -> Cannot {
    Cannot::Wrong { why: why.into(), help: help.into() }
}

impl Facts {
    /// The query of a check.
    pub fn query(&self, check: &Check, dataset: Option<&Definition>) -> Result<Query, Cannot> {
        if let Some(missing) = check.needs.iter().find(|need| !self.has(need)) {
            return Err(Cannot::Missing(missing.clone()));
        }
        let on = |table: &Option<String>| self.source(table.as_deref(), dataset);
        match check.form() {
            None => Err(wrong("it checks nothing", "add a form, such as `sql`")),
            Some(Form::Reference(one)) => self.reference(one, dataset),
            Some(Form::Unique(one)) => unique(&on(&one.table)?, one),
            Some(Form::NotNull(one)) => not_null(&on(&one.table)?, one),
            Some(Form::Accepted(one)) => accepted(&on(&one.table)?, one, dataset),
            Some(Form::Range(one)) => range(&on(&one.table)?, one),
            Some(Form::Freshness(one)) => freshness(&on(&one.table)?, one),
            Some(Form::Volume(one)) => Ok(volume(&on(&one.table)?, one)),
            Some(Form::ArchiveConsistency(one)) => self.archive_consistency(one, dataset),
            Some(Form::Sql(text)) => {
                let of = check.of.as_deref().map(|name| self.table(name)).transpose()?;
                Ok(Query {
                    rows: text.trim().trim_end_matches(';').to_owned(),
                    looked: of.map(|table| format!("select count(*) from {}", table.sql)),
                    key: (!check.key.is_empty()).then(|| check.key.clone()),
                })
            }
        }
    }

    /// A table with the columns that name its rows.
    fn source<'f>(&'f self, name: Option<&str>, dataset: Option<&Definition>) -> Result<Source<'f>, Cannot> {
        let own = dataset.map(|set| set.table.as_str());
        let name = name.or(own).ok_or_else(|| wrong("it names no table", "add `table`, or a `dataset` to the job"))?;
        let table = self.table(name)?;
        let (mut key, mut shown) = (table.key.clone(), Vec::new());
        if let Some(set) = dataset.filter(|set| set.table == name) {
            key = set.key.clone();
            // How people know the row.
            shown.extend(set.known_by.clone().filter(|column| table.columns.contains_key(column)));
        }
        Ok(Source { table, key, shown })
    }

    fn reference(&self, one: &Reference, dataset: Option<&Definition>) -> Result<Query, Cannot> {
        let from = self.source(Some(&one.from), dataset)?;
        let to = self.source(one.to.as_deref(), dataset)?;
        let key = if one.key.is_empty() { &to.key } else { &one.key };
        if key.len() != one.along.len() {
            return Err(wrong(
                format!("`along` has {} columns, and the key of {} has {}", one.along.len(), to.table.sql, key.len()),
                "list the columns of `to` in the check's `key`",
            ));
        }
        let pairs: Vec<(&String, &String)> = one.along.iter().zip(key).collect();
        for (along, key) in &pairs {
            from.table.column(along)?;
            to.table.column(key)?;
        }
        let there = pairs.iter().map(|(along, _)| format!("t.{} is not null", ident(along)));
        let same: Vec<_> = pairs.iter().map(|(along, key)| format!("o.{} = t.{}", ident(key), ident(along))).collect();
        let gone = format!("not exists (select from {} o where {})", to.table.sql, same.join(" and "));
        let bad: Vec<String> = there.chain([gone]).collect();
        Ok(from.query(&one.along, one.when.as_deref(), &bad.join("\n  and ")))
    }
}

/// A table whose rows are looked at.
struct Source<'f> {
    table: &'f Table,
    /// Names a row; may be empty.
    key: Vec<String>,
    /// Shown beside the key.
    shown: Vec<String>,
}

impl Source<'_> {
    /// `"schema"."table" t`, only the rows that are looked at.
    fn rows(&self, when: Option<&str>) -> String {
        match when {
            // As its own query, in which the condition's columns are the table's; the line break ends a comment.
            Some(when) => format!("(select * from {} where {}\n) t", self.table.sql, when.trim()),
            None => format!("{} t", self.table.sql),
        }
    }

    /// The rows for which `bad` is true, named by their key, with these columns.
    fn query(&self, columns: &[String], when: Option<&str>, bad: &str) -> Query {
        let mut list: Vec<&String> = Vec::new();
        for column in self.key.iter().chain(&self.shown).chain(columns) {
            if !list.contains(&column) {
                list.push(column);
            }
        }
        // Without a key nothing but the whole row names it.
        let list = match self.key.is_empty() {
            true => "t.*".to_owned(),
            false => list.iter().map(|name| format!("t.{}", ident(name))).collect::<Vec<_>>().join(", "),
        };
        Query {
            rows: format!("select {list}\nfrom {}\nwhere {bad}", self.rows(when)),
            looked: Some(self.count(when)),
            key: (!self.key.is_empty()).then(|| self.key.clone()),
        }
    }

    fn count(&self, when: Option<&str>) -> String {
        format!("select count(*) from {}", self.rows(when))
    }
}

fn unique(source: &Source<'_>, one: &Unique) -> Result<Query, Cannot> {
    for column in &one.columns {
        source.table.column(column)?;
    }
    let list: Vec<_> = one.columns.iter().map(|name| format!("t.{}", ident(name))).collect();
    let there: Vec<_> = list.iter().map(|column| format!("{column} is not null")).collect();
    let (list, there) = (list.join(", "), there.join(" and "));
    let rows = source.rows(one.when.as_deref());
    Ok(Query {
        rows: format!(
            "select {list}, count(*) as times\nfrom {rows}\nwhere {there}\ngroup by {list}\nhaving count(*) > 1"
        ),
        looked: Some(source.count(one.when.as_deref())),
        key: Some(one.columns.clone()),
    })
}

fn not_null(source: &Source<'_>, one: &NotNull) -> Result<Query, Cannot> {
    let mut bad = Vec::new();
    for name in &one.columns {
        source.table.column(name)?;
        let column = format!("t.{}", ident(name));
        bad.push(match one.blank {
            true => format!("({column} is null or {column}::text ~ '^\\s*$')"),
            false => format!("{column} is null"),
        });
    }
    Ok(source.query(&[], one.when.as_deref(), &format!("({})", bad.join(" or "))))
}

fn accepted(source: &Source<'_>, one: &Accepted, dataset: Option<&Definition>) -> Result<Query, Cannot> {
    let column = source.table.column(&one.column)?;
    let listed = match &one.values {
        Some(Values::These(values)) => Some(values),
        Some(Values::Named(name)) => Some(dataset.and_then(|set| set.values.get(name)).ok_or_else(|| {
            wrong(format!("there are no [values] `{name}`"), format!("add {name} = [\"…\"] to the data set's [values]"))
        })?),
        None => column.labels.as_ref(),
    };
    let name = ident(&one.column);
    let shown = std::slice::from_ref(&one.column);
    if let Some(values) = listed {
        let values: Vec<_> = values.iter().map(|value| literal(value)).collect();
        let bad = format!("t.{name}::text not in ({})", values.join(", "));
        return Ok(source.query(shown, one.when.as_deref(), &bad));
    }
    let conditions = column.conditions.as_deref().unwrap_or_default();
    if conditions.is_empty() {
        return Err(wrong(
            format!("the catalog does not say which values {}.{name} may have", source.table.sql),
            "add `values` to the check: the column has no enum type and no CHECK constraint of its own",
        ));
    }
    // The constraint's own words; like a constraint, unknown is good enough.
    let kept: Vec<_> = conditions.iter().map(|condition| format!("({condition})")).collect();
    Ok(source.query(shown, one.when.as_deref(), &format!("not ({})", kept.join(" and "))))
}

fn range(source: &Source<'_>, one: &Range) -> Result<Query, Cannot> {
    let mut bad = Vec::new();
    for name in &one.columns {
        let kind = &source.table.column(name)?.kind;
        for (bound, sign) in [(&one.min, "<"), (&one.max, ">")] {
            if let Some(bound) = bound {
                bad.push(format!("t.{} {sign} {}", ident(name), bound_sql(bound, kind)));
            }
        }
    }
    Ok(source.query(&one.columns, one.when.as_deref(), &format!("({})", bad.join(" or "))))
}

/// A bound for a column of this type.
fn bound_sql(bound: &Bound, kind: &str) -> String {
    match bound {
        // In parentheses, because a minus sign after an operator may begin another operator.
        Bound::Number(number) => format!("({number})"),
        Bound::Text(text) => match now_plus(text) {
            Some(offset) => instant(kind, &offset),
            None => literal(text),
        },
    }
}

/// This moment and an offset, as a column of this type has it; a time without a zone is read as UTC.
fn instant(kind: &str, offset: &str) -> String {
    match kind {
        "timestamp without time zone" => format!("(now() at time zone 'UTC'{offset})"),
        "date" => format!("((now() at time zone 'UTC'{offset})::date)"),
        _ => format!("(now(){offset})"),
    }
}

fn interval(span: Span) -> String {
    format!("interval '{} seconds'", span.0.as_secs_f64())
}

/// What follows `now`: nothing, or a span that is added or taken away. `None` when it is no such text.
pub(super) fn now_plus(text: &str) -> Option<String> {
    let rest = text.trim().strip_prefix("now")?.trim();
    if rest.is_empty() {
        return Some(String::new());
    }
    let (sign, span) = rest.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-"))?;
    let span: Span = span.trim().parse().ok()?;
    Some(format!(" {sign} {}", interval(span)))
}

fn freshness(source: &Source<'_>, one: &Freshness) -> Result<Query, Cannot> {
    let kind = &source.table.column(&one.column)?.kind;
    let newest = format!("max(t.{})", ident(&one.column));
    let oldest = instant(kind, &format!(" - {}", interval(one.within)));
    let rows = source.rows(one.when.as_deref());
    Ok(Query {
        rows: format!("select {newest} as newest\nfrom {rows}\nhaving {newest} is null or {newest} < {oldest}"),
        looked: None,
        key: Some(Vec::new()),
    })
}

fn volume(source: &Source<'_>, one: &Volume) -> Query {
    let bounds = [one.min.map(|min| format!("count(*) < {min}")), one.max.map(|max| format!("count(*) > {max}"))];
    let bad: Vec<_> = bounds.into_iter().flatten().collect();
    let rows = source.rows(one.when.as_deref());
    Query {
        rows: format!("select count(*) as rows\nfrom {rows}\nhaving {}", bad.join(" or ")),
        looked: None,
        key: Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_takes_a_span_before_or_after_it() {
        assert_eq!(now_plus("now").as_deref(), Some(""));
        assert_eq!(now_plus("now - 90s").as_deref(), Some(" - interval '90 seconds'"));
        assert_eq!(now_plus("now+5m").as_deref(), Some(" + interval '300 seconds'"));
        assert_eq!((now_plus("nowadays"), now_plus("now - "), now_plus("2020-01-01")), (None, None, None));
    }

    #[test]
    fn a_time_without_a_zone_is_read_as_utc() {
        assert_eq!(instant("timestamp with time zone", ""), "(now())");
        assert_eq!(instant("timestamp without time zone", ""), "(now() at time zone 'UTC')");
    }
}
