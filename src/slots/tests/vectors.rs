//! Vectors that the test suites and documentation of other cron libraries publish (croniter, robfig/cron, Quartz),
//! where they agree with Vixie's rule, and cases of grammar. All but those of DST are in UTC.

use super::*;

/// `expression`, an instant, and the slots that follow it.
type Vector = (&'static str, &'static str, &'static [&'static str]);

fn held(zone: Tz, vectors: &[Vector]) {
    for (text, from, expected) in vectors {
        let slots = cron(text).between(zone, utc(from), utc("2100-01-01T00:00:00"), expected.len());
        assert_eq!(slots, expected.iter().map(|text| utc(text)).collect::<Vec<_>>(), "{text} from {from} in {zone}");
    }
}

#[test]
fn croniter_s_vectors_hold() {
    held(
        Tz::UTC,
        &[
            ("*/1 * * * *", "2010-01-23T12:18:00", &["2010-01-23T12:19:00", "2010-01-23T12:20:00"]),
            ("*/5 * * * *", "2010-08-25T14:57:00", &["2010-08-25T15:00:00", "2010-08-25T15:05:00"]),
            ("0 */3 * * *", "2010-01-24T00:02:00", &["2010-01-24T03:00:00", "2010-01-24T06:00:00"]),
            ("15 */3 * * *", "2010-01-24T00:02:00", &["2010-01-24T00:15:00", "2010-01-24T03:15:00"]),
            (
                "0 0 */3 * *",
                "2010-02-24T12:02:00",
                &["2010-02-25T00:00:00", "2010-02-28T00:00:00", "2010-03-01T00:00:00"],
            ),
            ("0 0 * * *", "2010-02-28T12:00:00", &["2010-03-01T00:00:00"]),
            ("0 0 31 * *", "2010-01-31T00:00:00", &["2010-03-31T00:00:00", "2010-05-31T00:00:00"]),
            ("0 0 29 2 *", "2010-01-01T00:00:00", &["2012-02-29T00:00:00", "2016-02-29T00:00:00"]),
            // Monday and Tuesday of that week, and the 1st: either.
            ("0 0 1 * 1", "2010-02-25T00:00:00", &["2010-03-01T00:00:00", "2010-03-08T00:00:00"]),
            (
                "0 0 1 * wed",
                "2010-01-25T00:00:00",
                &["2010-01-27T00:00:00", "2010-02-01T00:00:00", "2010-02-03T00:00:00"],
            ),
            ("0 12 * * mon", "2010-02-15T12:00:00", &["2010-02-22T12:00:00"]),
            ("0 0 L * *", "2010-02-01T00:00:00", &["2010-02-28T00:00:00", "2010-03-31T00:00:00"]),
            ("30 6 1,15 * 5", "2010-01-14T00:00:00", &["2010-01-15T06:30:00", "2010-01-22T06:30:00"]),
            ("0 0 * * sat#1", "2021-10-01T00:00:00", &["2021-10-02T00:00:00", "2021-11-06T00:00:00"]),
            ("0 0 * * 0", "2010-01-20T00:00:00", &["2010-01-24T00:00:00"]),
            ("0 0 * * 7", "2010-01-20T00:00:00", &["2010-01-24T00:00:00"]),
        ],
    );
}

#[test]
fn robfig_s_vectors_hold() {
    held(
        Tz::UTC,
        &[
            ("0 */15 * * * *", "2012-07-09T14:45:00", &["2012-07-09T15:00:00"]),
            ("0 20-35/15 * * * *", "2012-07-09T14:45:00", &["2012-07-09T15:20:00", "2012-07-09T15:35:00"]),
            ("15-59/35 20-35/15 1-23/2 */2 * *", "2012-07-09T23:35:51", &["2012-07-11T01:20:15"]),
            ("0 */15 * 9-20 Jul *", "2012-07-09T23:46:00", &["2012-07-10T00:00:00"]),
            ("0 0 * 1 1-7 *", "2012-07-09T15:00:00", &["2013-01-01T00:00:00"]),
            (
                "0 0 0 9 Apr-Oct ?",
                "2012-07-09T23:35:00",
                &["2012-08-09T00:00:00", "2012-09-09T00:00:00", "2012-10-09T00:00:00", "2013-04-09T00:00:00"],
            ),
            ("0 0 0 */5 Apr,Aug,Oct Mon", "2012-07-09T23:35:00", &["2012-08-01T00:00:00"]),
            ("0 0 0 */5 Oct Mon", "2012-07-09T23:35:00", &["2012-10-01T00:00:00"]),
            ("0 0 0 29 Feb ?", "2012-07-09T23:35:00", &["2016-02-29T00:00:00"]),
            ("@hourly", "2012-07-09T14:45:00", &["2012-07-09T15:00:00"]),
            ("@every 1h", "2012-07-09T15:00:00", &["2012-07-09T16:00:00"]),
        ],
    );
    // Its daylight saving vectors, for jobs of a fixed time; it fires nothing in the gap, Vixie after it.
    held(
        Tz::America__New_York,
        &[
            ("0 0 1 * * ?", "2012-11-04T04:00:00", &["2012-11-04T05:00:00", "2012-11-05T06:00:00"]),
            ("0 0 3 11 Mar ?", "2012-03-11T05:00:00", &["2012-03-11T07:00:00"]),
            ("0 0 0 * * ?", "2012-11-04T04:00:00", &["2012-11-05T05:00:00"]),
            (
                "0 0 * * * ?",
                "2012-11-04T04:00:00",
                &["2012-11-04T05:00:00", "2012-11-04T06:00:00", "2012-11-04T07:00:00"],
            ),
            ("0 0 * * * ?", "2012-03-11T06:00:00", &["2012-03-11T07:00:00", "2012-03-11T08:00:00"]),
        ],
    );
}

#[test]
fn quartz_s_examples_hold() {
    held(
        Tz::UTC,
        &[
            ("0 0 12 * * ?", "2026-01-01T12:00:00", &["2026-01-02T12:00:00"]),
            ("0 15 10 ? * *", "2026-01-01T12:00:00", &["2026-01-02T10:15:00"]),
            ("0 15 10 * * ? 2027", "2026-01-01T12:00:00", &["2027-01-01T10:15:00"]),
            ("0 0-5 14 * * ?", "2026-01-01T14:04:30", &["2026-01-01T14:05:00", "2026-01-02T14:00:00"]),
            (
                "0 10,44 14 ? 3 WED",
                "2026-01-01T00:00:00",
                &["2026-03-04T14:10:00", "2026-03-04T14:44:00", "2026-03-11T14:10:00"],
            ),
            ("0 15 10 ? * MON-FRI", "2026-01-02T12:00:00", &["2026-01-05T10:15:00"]),
            ("0 15 10 L * ?", "2026-02-01T00:00:00", &["2026-02-28T10:15:00", "2026-03-31T10:15:00"]),
            // The last Friday and the third one; Quartz counts from Sunday as 1, cron from 0, so by name.
            ("0 15 10 ? * friL", "2026-01-01T00:00:00", &["2026-01-30T10:15:00", "2026-02-27T10:15:00"]),
            ("0 15 10 ? * fri#3", "2026-01-01T00:00:00", &["2026-01-16T10:15:00", "2026-02-20T10:15:00"]),
            ("0 0 12 15W * ?", "2026-02-01T00:00:00", &["2026-02-16T12:00:00", "2026-03-16T12:00:00"]),
            ("0 0 12 LW * ?", "2026-01-01T00:00:00", &["2026-01-30T12:00:00", "2026-02-27T12:00:00"]),
            ("0 0 12 1W * ?", "2026-02-01T00:00:00", &["2026-02-02T12:00:00", "2026-03-02T12:00:00"]),
            ("0 11 11 11 11 ?", "2026-01-01T00:00:00", &["2026-11-11T11:11:00", "2027-11-11T11:11:00"]),
        ],
    );
}

#[test]
fn every_counts_real_time_since_1970() {
    let from = utc("2026-10-25T00:00:30");
    for (text, expected) in [
        ("@every 90s", "2026-10-25T00:01:30"),
        ("@Every  1h30m", "2026-10-25T01:30:00"),
        ("@every 1d", "2026-10-26T00:00:00"),
        ("@every 1s", "2026-10-25T00:00:31"),
    ] {
        assert_eq!(cron(text).next(Tz::Europe__Berlin, from), Some(utc(expected)), "{text}");
        assert!(!cron(text).is_fixed(), "{text}");
    }
    let every = cron("@every 20m");
    let slots = every.between(Tz::Europe__Berlin, from, from + Duration::days(2), usize::MAX);
    assert_eq!(slots.len(), 2 * 72);
    assert!(slots.iter().all(|slot| every.shift(Tz::Europe__Berlin, *slot).is_none()));
    let before_1970 = utc("1969-12-31T23:59:59.500");
    assert_eq!(every.next(Tz::UTC, before_1970), Some(DateTime::UNIX_EPOCH));
    for text in
        ["@every", "@every 0s", "@every 500ms", "@every 367d", "@every 1x", "@every -1h", "@every 1h 1m", "@every s"]
    {
        let error = Cron::parse(text).expect_err(text);
        assert!(error.help.contains("@every 90s"), "{text}: {error}");
    }
}

#[test]
fn h_is_a_number_made_from_the_name() {
    let named = |text: &str, name: &str| Cron::named(text, name).expect(text);
    let from = utc("2026-01-01T00:00:00");
    let next = |cron: &Cron| cron.next(Tz::UTC, from).expect("a slot").format("%dT%H:%M:%S").to_string();
    // printf 'nightly minute' | sha256sum, and so on: these may never change.
    assert_eq!(hash::number("nightly minute") % 60, 48);
    assert_eq!(hash::number("nightly hour") % 24, 0);
    assert_eq!(next(&named("H H * * *", "nightly")), "01T00:48:00");
    assert_ne!(next(&named("H H * * *", "nightly")), next(&named("H H * * *", "daily")));
    assert!(named("H H * * *", "nightly").is_fixed());
    assert!(!named("H/15 * * * *", "nightly").is_fixed());
    let mut minutes = std::collections::BTreeSet::new();
    for number in 0..500 {
        let name = format!("schedule-{number}");
        let slots = named("H/15 H(2-4) * * *", &name).between(Tz::UTC, from, from + Duration::days(1), 99);
        assert_eq!(slots.len(), 4, "{name}: {slots:?}");
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] == Duration::minutes(15)), "{slots:?}");
        assert!(slots.iter().all(|slot| (2..=4).contains(&chrono::Timelike::hour(slot))), "{slots:?}");
        let ranged = named("H(10-20)/5 * * * *", &name).between(Tz::UTC, from, from + Duration::hours(1), 99);
        assert!(ranged.len() >= 2 && ranged.iter().all(|slot| (10..=20).contains(&chrono::Timelike::minute(slot))));
        minutes.insert(next(&named("H 0 * * *", &name)));
        // Months without the day would be left out.
        let monthly = named("0 0 H H(1-3) *", &name).next(Tz::UTC, from);
        assert!(monthly < Some(utc("2027-04-01T00:00:00")), "{name}");
        assert_eq!(named("0 0 H * *", &name).between(Tz::UTC, from, utc("2027-01-01T00:00:00"), 99).len() / 12, 1);
    }
    assert!(minutes.len() > 55, "{}", minutes.len());
    for text in ["H(5-70) * * * *", "H(9-5) * * * *", "H/0 * * * *", "H(x) * * * *", "0 0 0 1 1 ? H", "HH * * * *"] {
        let error = Cron::named(text, "nightly").expect_err(text);
        assert!(error.why.contains("is no "), "{text}: {error}");
    }
    let error = Cron::parse("0 H * * *").expect_err("no name");
    assert_eq!((error.at.clone(), error.why.contains("name")), (2..3, true), "{error}");
}

#[test]
fn what_is_doubtful_is_told() {
    for (text, at, why) in [
        ("*/7 * * * *", "*/7", "uneven"),
        ("0 */5 * * *", "*/5", "uneven"),
        ("*/45 * * * * *", "*/45", "uneven"),
        ("5,0-59/11 * * * *", "5,0-59/11", "uneven"),
        ("0 0 */2 * *", "*/2", "1st of each month"),
        ("0 0 1 */5 *", "*/5", "uneven"),
        ("0 0 1 * mon", "mon", "not only where both hold"),
        ("0 0 */2 * 1-5", "*/2", "1st of each month"),
    ] {
        let cron = cron(text);
        let lint = cron.lints().first().expect(text);
        assert_eq!(&text[lint.at.clone()], at, "{text}: {lint:?}");
        assert!(lint.why.contains(why), "{text}: {lint:?}");
    }
    assert_eq!(cron("0 0 */2 * 1-5").lints().len(), 2);
    let named = Cron::named("H/7 * * * *", "nightly").expect("an expression");
    assert_eq!(named.lints().len(), 1);
    let fine = [
        "*/5 * * * *",
        "0 */6 * * *",
        "8-17/4 * * * *",
        "0 0 1 * +mon",
        "0 0 ? * mon",
        "0 0 1 * ?",
        "@weekly",
        "@every 7m",
    ];
    for text in fine {
        assert_eq!(cron(text).lints(), [], "{text}");
    }
}
