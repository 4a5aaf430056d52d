//! The lines of an iCalendar text: folded ones put together, each as name, parameters and value.

use std::ops::Range;

use super::Unclear;

/// `NAME;PARAM=value:VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// In upper case.
    pub(super) name: String,
    /// Names in upper case, values as written.
    params: Vec<(String, String)>,
    pub(super) value: String,
    pub(super) at: Range<usize>,
}

impl Line {
    /// The value of a parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn unclear(&self, why: impl Into<String>, help: impl Into<String>) -> Unclear {
        Unclear { why: why.into(), help: help.into(), at: self.at.clone() }
    }
}

/// All lines of a text.
pub(super) fn lines(text: &str) -> Vec<Result<Line, Unclear>> {
    let mut whole: Vec<(String, Range<usize>)> = Vec::new();
    let mut start = 0;
    for piece in text.split_inclusive('\n') {
        let line = piece.trim_end_matches(['\r', '\n']);
        let at = start..start + line.len();
        start += piece.len();
        // Programs on Windows like to begin a file with a byte-order mark.
        let line = if at.start == 0 { line.trim_start_matches('\u{feff}') } else { line };
        match (line.strip_prefix([' ', '\t']), whole.last_mut()) {
            (Some(more), Some((begun, _))) => begun.push_str(more),
            _ if line.trim().is_empty() => {}
            _ => whole.push((line.to_owned(), at)),
        }
    }
    whole.into_iter().map(|(line, at)| parse(&line, at)).collect()
}

fn parse(line: &str, at: Range<usize>) -> Result<Line, Unclear> {
    let unclear = || Unclear {
        why: "this is no line of an iCalendar file".into(),
        help: "each is NAME:VALUE, and a long one goes on in the next line after a space".into(),
        at: at.clone(),
    };
    let mut parts = Vec::new();
    let (mut quoted, mut begin) = (false, 0);
    let mut value = None;
    for (place, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' | ':' if !quoted => {
                parts.push(&line[begin..place]);
                begin = place + 1;
                if c == ':' {
                    value = Some(line[begin..].trim_end().to_owned());
                    break;
                }
            }
            _ => {}
        }
    }
    let value = value.ok_or_else(unclear)?;
    let mut parts = parts.into_iter();
    let name = parts.next().filter(|name| is_name(name)).ok_or_else(unclear)?.to_ascii_uppercase();
    let params = parts.map(|part| {
        let (name, value) = part.split_once('=')?;
        Some((name.to_ascii_uppercase(), value.trim_matches('"').to_owned()))
    });
    let params = params.collect::<Option<_>>().ok_or_else(unclear)?;
    Ok(Line { name, params, value, at })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
