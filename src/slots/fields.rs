//! The fields of a cron expression: their names, what each takes, and where they stand in a text.

use std::ops::Range;

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    /// For people.
    pub(super) name: &'static str,
    /// One word: what `H` is made from.
    pub(super) word: &'static str,
    /// What it takes.
    pub(super) takes: &'static str,
    /// Its lowest number.
    pub(super) low: u64,
    /// Its highest number.
    pub(super) high: u64,
    /// Of which numbers `H` is one.
    pub(super) hashed: Option<(u64, u64)>,
}

const fn field(
    (name, word): (&'static str, &'static str),
    takes: &'static str,
    (low, high): (u64, u64),
    hashed: Option<(u64, u64)>,
) -> Field {
    Field { name, word, takes, low, high, hashed }
}

/// All of them, in their order; an expression of 5 has neither the first nor the last.
pub(super) static FIELDS: [Field; 7] = [
    field(("second", "second"), "0-59, lists `0,30`, ranges `0-29`, steps `*/10`", (0, 59), Some((0, 59))),
    field(("minute", "minute"), "0-59, lists `0,30`, ranges `0-29`, steps `*/10`", (0, 59), Some((0, 59))),
    field(("hour", "hour"), "0-23, lists `2,14`, ranges `8-17`, steps `*/6`", (0, 23), Some((0, 23))),
    // Every month has the days that `H` can be.
    field(
        ("day of the month", "day"),
        "1-31, `L` for the last one, `15W` for the weekday nearest to the 15th",
        (1, 31),
        Some((1, 28)),
    ),
    field(("month", "month"), "1-12 or jan-dec", (1, 12), Some((1, 12))),
    field(
        ("day of the week", "weekday"),
        "0-7 or sun-sat (0 and 7 are Sunday), `fri#2` for the second Friday, `friL` for the last",
        (0, 6),
        Some((0, 6)),
    ),
    field(("year", "year"), "1-5000", (1, 5000), None),
];

/// The place of the minute, and so on.
pub(super) const SECOND: usize = 0;
pub(super) const MINUTE: usize = 1;
pub(super) const HOUR: usize = 2;
pub(super) const DAY: usize = 3;
pub(super) const MONTH: usize = 4;
pub(super) const WEEKDAY: usize = 5;

/// A field as it is written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Which one, in [`FIELDS`].
    pub(super) place: usize,
    /// Its text.
    pub(super) text: String,
    /// Where, in bytes.
    pub(super) at: Range<usize>,
}

/// The fields of a text; with 5, the second is left out.
pub(super) fn split(text: &str) -> Vec<Written> {
    let skipped = usize::from(text.split_whitespace().count() == 5);
    text.split_whitespace()
        .enumerate()
        .map(|(number, field)| {
            // Every field is a slice of the text, so its distance from the text's start is its place.
            let start = field.as_ptr() as usize - text.as_ptr() as usize;
            Written { place: number + skipped, text: field.to_owned(), at: start..start + field.len() }
        })
        .collect()
}
