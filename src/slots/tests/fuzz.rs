//! Texts that are nearly expressions: each is read or refused at a place in it, and never a panic.

use super::{oracle::Random, *};

const PARTS: [&str; 38] = [
    "0",
    "1",
    "5",
    "7",
    "8",
    "12",
    "31",
    "59",
    "60",
    "65535",
    "65536",
    "18446744073709551615",
    "99999999999999999999",
    "*",
    "*",
    "/",
    ",",
    "-",
    "#",
    "L",
    "W",
    "?",
    "+",
    "H",
    "h",
    "(",
    ")",
    "@",
    "every",
    "daily",
    "s",
    "d",
    "sun",
    "JAN",
    "é",
    "ß",
    "\u{202f}",
    "\t",
];

/// Fields that are right in most places.
const FIELDS: [&str; 10] = ["*", "5", "*/7", "1-5", "1,3-4", "H", "H/5", "H(1-4)", "2-5/65535", "?"];

#[test]
fn whatever_is_written_is_read_or_refused() {
    let mut random = Random(5);
    let mut read = 0;
    for _ in 0..4000 {
        let fields = if random.below(4) == 0 { random.below(3) } else { 5 + random.below(3) };
        let mut text = random.pick(&["", "", "", " ", "@every ", "@"]).to_owned();
        for _ in 0..fields {
            match random.below(6) {
                0 => (0..=random.below(6)).for_each(|_| text += random.pick(&PARTS)),
                _ => text += random.pick(&FIELDS),
            }
            text += random.pick(&[" ", " ", " ", "  ", "\n"]);
        }
        match Cron::named(&text, "nightly") {
            Ok(cron) => {
                read += 1;
                let slot = cron.next(Tz::Europe__Berlin, utc("2026-10-25T00:10:00"));
                assert!(slot.is_none_or(|slot| slot > utc("2026-10-25T00:10:00")), "{text:?}");
                assert!(cron.lints().iter().all(|lint| text.get(lint.at.clone()).is_some()), "{text:?}");
            }
            Err(error) => assert!(text.get(error.at.clone()).is_some(), "{text:?}: {error}"),
        }
    }
    assert!(read > 100, "only {read} were read");
}
