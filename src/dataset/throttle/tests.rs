//! What a brake decides, on recorded signals.

use serde_json::json;
use sqlx::types::Json;

use super::{
    brake::{answer, wait},
    *,
};

fn calm() -> Signals {
    Signals {
        who: "sexton".to_owned(),
        database: "collector".to_owned(),
        sees_all: true,
        at: 1_000.0,
        wal: Some(5e9),
        active: 3,
        xmin_age: 12,
        replicas: Json(vec![replica("standby1")]),
        slots: Json(Vec::new()),
    }
}

/// A replica that is idle and has replayed everything.
fn replica(name: &str) -> Replica {
    let state = Some("streaming".to_owned());
    Replica { name: name.to_owned(), state, lag: None, silent: Some(0.4), behind: Some(0.0) }
}

fn limits(text: &str) -> Throttle {
    toml::from_str(text).expect("a throttle")
}

fn why(now: &Signals, text: &str) -> String {
    match decide(now, None, &limits(text)) {
        Verdict::Go => "go".to_owned(),
        Verdict::Wait { why } => why,
    }
}

#[test]
fn without_limits_nothing_is_waited_for() {
    let mut now = calm();
    (now.active, now.xmin_age) = (10_000, i64::MAX);
    now.replicas[0].lag = Some(9_999.0);
    assert_eq!(decide(&now, Some(&calm()), &Throttle::default()), Verdict::Go);
}

#[test]
fn a_replica_that_lags_makes_work_wait() {
    let text = "replica_lag = '10s'\nreplica_lag_bytes = '64 MiB'";
    let mut now = calm();
    assert_eq!(why(&now, text), "go");
    now.replicas[0] = Replica { lag: Some(12.43), behind: Some(1e6), ..replica("standby1") };
    assert_eq!(why(&now, text), "replica_lag 12.4 s > 10s (standby1)");
    now.replicas[0] = Replica { lag: Some(0.1), behind: Some(96.0 * 1_048_576.0), ..replica("standby1") };
    assert_eq!(why(&now, text), "replica_lag_bytes 96 MiB > 64 MiB (standby1)");
}

#[test]
fn what_a_replica_does_not_say_is_no_reason_to_go_on() {
    let mut now = calm();
    now.replicas[0] = Replica { lag: None, behind: Some(1e9), ..replica("standby1") };
    assert_eq!(why(&now, "replica_lag = '10s'"), "replica_lag of standby1 is not known yet");
    // It hangs: the lag that it had last is shown for ever.
    now.replicas[0] = Replica { lag: Some(0.01), silent: Some(31.0), behind: Some(1e6), ..replica("standby1") };
    assert_eq!(why(&now, "replica_lag = '10s'"), "replica_lag 21.0 s > 10s (standby1)");
    // It has replayed everything and is idle: its silence means nothing.
    now.replicas[0] = Replica { silent: Some(31.0), ..replica("standby1") };
    assert_eq!(why(&now, "replica_lag = '10s'"), "go");
}

#[test]
fn a_named_replica_must_be_there_and_a_backup_is_none() {
    let text = "replica_lag = '10s'\nreplicas = ['standby1', 'standby2']";
    let mut now = calm();
    assert_eq!(why(&now, text), "replica `standby2` is not there");
    let backup = Replica { name: "standby2".to_owned(), state: Some("backup".to_owned()), behind: None, ..replica("") };
    now.replicas.push(backup);
    assert_eq!(why(&now, text), "replica `standby2` is not there");
    now.replicas.push(replica("standby2"));
    assert_eq!(why(&now, text), "go");
    now.replicas.clear();
    assert_eq!(why(&now, "replica_lag = '10s'"), "go", "nobody lags where there is nobody");
}

#[test]
fn a_slot_that_keeps_too_much_or_is_in_danger_makes_work_wait() {
    let slot = |status: &str, kept, left| Slot { name: "cdc".to_owned(), status: Some(status.to_owned()), kept, left };
    let text = "slot_wal = '1 GiB'\nslot_wal_left = '2 GiB'";
    let mut now = calm();
    let mut with = |slot| {
        now.slots = Json(vec![slot]);
        why(&now, text)
    };
    assert_eq!(with(slot("reserved", Some(1e6), None)), "go");
    assert_eq!(with(slot("extended", Some(3.0 * 1_073_741_824.0), None)), "slot_wal 3 GiB > 1 GiB (cdc)");
    assert_eq!(with(slot("extended", Some(1e6), Some(1_073_741_824.0))), "slot_wal_left 1 GiB < 2 GiB (cdc)");
    assert_eq!(with(slot("unreserved", Some(1e6), None)), "replication slot `cdc` is about to be lost");
    assert_eq!(with(slot("lost", None, None)), "go", "there is nothing to save");
}

#[test]
fn the_rate_of_the_log_is_seen_between_two_looks() {
    let limits = limits("wal_rate = '50 MiB/s'");
    let before = calm();
    let after =
        |mib: f64| Signals { at: before.at + 2.0, wal: before.wal.map(|wal| wal + mib * 1_048_576.0), ..calm() };
    assert_eq!(decide(&after(400.0), None, &limits), Verdict::Go, "one look tells no rate");
    assert_eq!(decide(&after(90.0), Some(&before), &limits), Verdict::Go);
    let why = "wal_rate 200 MiB/s > 50 MiB/s".to_owned();
    assert_eq!(decide(&after(400.0), Some(&before), &limits), Verdict::Wait { why });
    assert_eq!(decide(&before, Some(&before), &limits), Verdict::Go, "no time has passed");
}

#[test]
fn sessions_and_snapshots_of_others_count() {
    let now = Signals { active: 21, xmin_age: 5_000_000, ..calm() };
    assert_eq!(why(&now, "active_sessions = 20"), "active_sessions 21 > 20");
    assert_eq!(why(&now, "active_sessions = 21"), "go");
    assert_eq!(why(&now, "xmin_age = 1_000_000"), "xmin_age 5000000 > 1000000");
}

#[test]
fn a_query_says_wait_with_true_a_positive_number_or_nothing() {
    let said = |value| answer(Some(&value));
    assert_eq!(said(json!(false)), Some(Verdict::Go));
    assert_eq!(said(json!(0)), Some(Verdict::Go));
    assert_eq!(said(json!(-1.5)), Some(Verdict::Go));
    assert_eq!(said(json!(true)), Some(wait("query is true".to_owned())));
    assert_eq!(said(json!(3)), Some(wait("query 3 > 0".to_owned())));
    assert_eq!(answer(None), Some(wait("query gave nothing".to_owned())));
    assert_eq!(said(json!("many")), None);
}

#[test]
fn sizes_are_text_or_numbers() {
    let read = |value: &str| limits(&format!("wal_rate = {value}")).wal_rate.expect("a size").0;
    assert_eq!(read("'50 MiB/s'"), 50.0 * 1_048_576.0);
    assert_eq!(read("'50 MB'"), 5e7);
    assert_eq!(read("1000"), 1000.0);
    for wrong in ["'10s'", "'fast'", "-1", "'-1 MB'"] {
        assert!(toml::from_str::<Throttle>(&format!("wal_rate = {wrong}")).is_err(), "{wrong}");
    }
    assert!(toml::from_str::<Throttle>("wal_speed = 1").is_err());
}

#[test]
fn what_makes_no_sense_is_found() {
    let count = |text: &str| limits(text).problems().len();
    assert_eq!(count("share = 0.5\nevery = '500ms'\nquery = 'select 1'"), 0);
    for wrong in ["share = 0.0", "share = 1.5", "every = '1ms'", "query = ' '", "replicas = ['a']"] {
        assert_eq!(count(wrong), 1, "{wrong}");
    }
}
