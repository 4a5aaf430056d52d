//! `H`: a number of a field's that is made from the schedule's name, so that many schedules do not all begin at once.
//!
//! It is the first 8 bytes of SHA-256 of `NAME FIELD` (as in `nightly minute`), big-endian, modulo how many numbers
//! there are. The same name gives the same time on every machine and in every version.

use sha2::{Digest, Sha256};

use super::fields::Field;

/// A number that hangs on nothing but the text.
pub(super) fn number(text: &str) -> u64 {
    Sha256::digest(text.as_bytes()).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Why an `H` means nothing.
pub(super) enum Unclear {
    /// There is no name to make it from.
    Nameless,
    /// It is written in another way than it can be.
    Shape,
}

/// The field with a number in the place of each `H`, `H(a-b)`, `H/n` and `H(a-b)/n`.
pub(super) fn fill(field: &str, of: &Field, name: Option<&str>) -> Result<String, Unclear> {
    let parts: Result<Vec<_>, _> = field.split(',').map(|part| fill_part(part, of, name)).collect();
    Ok(parts?.join(","))
}

fn fill_part(part: &str, of: &Field, name: Option<&str>) -> Result<String, Unclear> {
    let Some(rest) = part.strip_prefix(['H', 'h']).filter(|rest| rest.is_empty() || rest.starts_with(['(', '/']))
    else {
        return Ok(part.to_owned());
    };
    let (range, step) = match rest.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (rest, None),
    };
    let read = |text: &str| text.parse::<u64>().map_err(|_| Unclear::Shape);
    let (low, high) = if range.is_empty() {
        of.hashed.ok_or(Unclear::Shape)?
    } else {
        let inside = range.strip_prefix('(').and_then(|range| range.strip_suffix(')')).ok_or(Unclear::Shape)?;
        let (low, high) = inside.split_once('-').ok_or(Unclear::Shape)?;
        (read(low)?, read(high)?)
    };
    if low > high || high > of.high {
        return Err(Unclear::Shape);
    }
    let hash = number(&format!("{} {}", name.ok_or(Unclear::Nameless)?, of.word));
    let count = high - low + 1;
    let Some(step) = step else { return Ok((low + hash % count).to_string()) };
    let step = read(step).ok().filter(|step| *step > 0).ok_or(Unclear::Shape)?;
    let first = low + hash % step.min(count);
    // One number is no step, and so a fixed time.
    Ok(if first.saturating_add(step) > high { first.to_string() } else { format!("{first}-{high}/{step}") })
}
