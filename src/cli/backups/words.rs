//! Sizes, ages and tables, as people read them.

use std::io::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};

/// `1.4 GiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut number = bytes as f64 / 1024.0;
    let mut unit = 0;
    while number >= 1023.95 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{number:.1} {}", UNITS[unit])
}

/// `3d 4h`, in two units at most; a time to come has a minus.
pub(super) fn age(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    let (sign, all) = if seconds < 0 { ("-", seconds.unsigned_abs()) } else { ("", seconds.unsigned_abs()) };
    let (days, hours, minutes) = (all / 86_400, all % 86_400 / 3_600, all % 3_600 / 60);
    let text = match (days, hours, minutes) {
        (0, 0, 0) => format!("{all}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        (_, 0, _) => format!("{days}d"),
        _ => format!("{days}d {hours}h"),
    };
    format!("{sign}{text}")
}

/// Seconds, as exact as matters.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 120.0 {
        return format!("{seconds:.1} s");
    }
    age(TimeDelta::seconds(seconds as i64))
}

/// `2026-01-31 02:00 UTC`.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// Writes rows below their headings, each column as wide as it needs; the last one is not filled up.
pub(super) fn table<const N: usize>(out: &mut dyn Write, heads: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let heads = heads.map(str::to_owned);
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:width$}  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_have_two_digits_that_matter() {
        assert_eq!((size(7), size(1024), size(1_500_000), size(1 << 40)), {
            ("7 B".into(), "1.0 KiB".into(), "1.4 MiB".into(), "1.0 TiB".into())
        });
        let ages = [59, 3_599, 90_061, 86_400, -7_260].map(|seconds| age(TimeDelta::seconds(seconds)));
        assert_eq!(ages, ["59s", "59m", "1d 1h", "1d", "-2h 1m"]);
    }
}
