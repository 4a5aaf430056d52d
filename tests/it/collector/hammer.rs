//! Writers who never stop while rows move and the daemon is killed: in the end main and archive together hold exactly what
//! the writers committed.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{daemon::site, support::eventually};

use super::*;

/// What must be there in the end: each row, whole, by table and id.
type Book = HashMap<(&'static str, i64), String>;

/// A row as a writer's statement returns it.
type Written = Option<(i64, String)>;

const EXCEPTIONS: i64 = 1_500;

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.unsigned_abs()).cast_signed()
    }
}

/// Every row as it is now.
async fn book(collector: &Collector) -> Book {
    let mut book = Book::new();
    for (table, rows) in collector.everything().await {
        for row in rows {
            let id = serde_json::from_str::<serde_json::Value>(&row).unwrap()["id"].as_i64().unwrap();
            assert!(book.insert((table, id), row).is_none(), "{table} {id} is there twice");
        }
    }
    book
}

/// Changes, adds and changes again, always on exceptions of its own share, until it is told to end; writes down what it
/// has committed. What has gone to the archive is not there for it.
async fn write(url: String, share: i64, over: Arc<AtomicBool>) -> (Book, usize) {
    let mut psql = PgConnection::connect(&url).await.expect("a session");
    let (mut dice, mut book, mut committed) = (Dice(0x5EED + share.unsigned_abs()), Book::new(), 0);
    let mut attempt = 100;
    while !over.load(Ordering::Relaxed) {
        let id = 1 + share + 2 * dice.below(EXCEPTIONS / 2);
        attempt += 1;
        let (table, sql) = match dice.below(6) {
            0 | 1 => (
                TABLES[0],
                "update public.interface_exceptions t set exception_reason = 'changed ' || $2, retry_count = retry_count + 1
                 where id = $1 returning id, to_jsonb(t)::text",
            ),
            2 => (
                TABLES[1],
                "insert into public.retry_attempts as t (exception_id, attempt_number, initiated_by, result_message)
                 values ($1, $2, 'writer', 'added') returning id, to_jsonb(t)::text",
            ),
            3 => (
                TABLES[2],
                "insert into public.order_items as t (interface_exception_id, blood_type, product_family, quantity)
                 values ($1, 'O+', 'PLATELETS', $2) returning id, to_jsonb(t)::text",
            ),
            4 => (
                TABLES[1],
                "update public.retry_attempts t set result_message = 'again ' || $2, updated_at = clock_timestamp()
                 where id = (select max(id) from public.retry_attempts where exception_id = $1) returning id, to_jsonb(t)::text",
            ),
            _ => (
                TABLES[3],
                // The trigger's row, of a status that does not come and go.
                "with changed as (update public.interface_exceptions set status = case status when 'RESOLVED' then 'CLOSED' else 'RESOLVED' end
                     where id = $1 and status in ('RESOLVED', 'CLOSED') and $2 > 0 returning id)
                 select id, '' from changed",
            ),
        };
        let mut tx = psql.begin().await.expect("a transaction");
        let result: Result<Written, sqlx::Error> =
            sqlx::query_as(sql).bind(id).bind(attempt).fetch_optional(&mut *tx).await;
        let written = match result {
            Ok(Some(written)) if table == TABLES[3] => {
                let exception = "select id, to_jsonb(t)::text from public.interface_exceptions t where id = $1";
                let row: (i64, String) = sqlx::query_as(exception).bind(written.0).fetch_one(&mut *tx).await.unwrap();
                book.insert((TABLES[0], row.0), row.1);
                let history = "select id, to_jsonb(t)::text from public.exception_status_changes t where exception_id = $1 order by id desc limit 1";
                Some(sqlx::query_as(history).bind(written.0).fetch_one(&mut *tx).await.unwrap())
            }
            Ok(written) => written,
            // Its exception has gone, or somebody was in the way: nothing is written.
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
                assert!(["23503", "40P01", "55P03"].contains(&code.as_str()), "{error}");
                continue;
            }
        };
        tx.commit().await.expect("committed");
        if let Some((id, row)) = written {
            book.insert((table, id), row);
            committed += 1;
        }
    }
    (book, committed)
}

/// Somebody at psql who archives some rows and brings rows back, again and again; gives how many came back.
async fn call(url: String, over: Arc<AtomicBool>) -> i64 {
    let mut psql = PgConnection::connect(&url).await.expect("a session");
    // The first call makes the archive match, which it cannot while its own query reads it.
    sqlx::query("select public.archive_old_exceptions(1100, 10, false)").execute(&mut psql).await.expect("an archive");
    let mut back = 0;
    while !over.load(Ordering::Relaxed) {
        let restore = "select coalesce(sum(restored_exceptions), 0) from public.restore_archived_exceptions(array(
            select transaction_id from public.interface_exceptions_archive order by random() limit 5))";
        back += sqlx::query_scalar::<_, i64>(restore).fetch_one(&mut psql).await.expect("a restore");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    back
}

#[track_caller]
fn assert_book(is: &Book, expected: &Book) {
    let wrong: Vec<_> = expected
        .iter()
        .filter(|(key, row)| is.get(key) != Some(row))
        .map(|(key, row)| (key, row, is.get(key)))
        .take(2)
        .collect();
    assert!(wrong.is_empty(), "expected and found: {wrong:#?}");
    let new: Vec<_> = is.iter().filter(|(key, _)| !expected.contains_key(key)).take(2).collect();
    assert!(new.is_empty(), "nobody wrote {new:#?}");
}

#[tokio::test]
async fn what_writers_commit_is_there_whole_whenever_the_daemon_is_killed() {
    let (queue, collector) = (Database::new().await, Collector::new(Version::V24, EXCEPTIONS as u32).await);
    let mut expected = book(&collector).await;
    let site = site(&queue.url(), &collector.database.url(), "");
    site.write("jobs/datasets/interface_exceptions.toml", crate::daemon::DATASET);
    let head = "timeout = \"5m\"\nretry = { attempts = 1 }";
    // Steps grow up to twenty times the first: so that there is still something to move in the last round, small ones.
    let keys = "target = \"collector\"\ndataset = \"interface_exceptions\"\ndry_run = false\nbatch = { rows = 1, target = \"100ms\" }";
    site.job("archive", &format!("{head}\n[archive]\n{keys}\nolder_than = \"365d\"\n"));
    site.job("clean", &format!("{head}\n[cleanup]\n{keys}\nresolved_for = \"90d\"\ndisposal = \"archive\"\n"));
    let installed = site.sexton(&["db", "install", "--target", "collector"]).await;
    assert!(installed.status.success(), "{installed:?}");

    let over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicBool::new(false));
    let people = tokio::spawn(call(collector.database.url(), done.clone()));
    let writers = [0, 1].map(|share| tokio::spawn(write(collector.database.url(), share, over.clone())));
    let mut dice = Dice(7);
    let steps = "select coalesce(sum((counts ->> 'steps')::bigint), 0)::bigint from sexton.step";
    let mut killed = 0;
    for round in 0..6 {
        let before = collector.count(steps).await;
        let daemon = site.daemon(&["once", if round % 3 == 2 { "clean" } else { "archive" }]).await;
        // On a quick machine it may be done before.
        eventually("steps are taken", || async {
            (daemon.is_over() || collector.count(steps).await > before + 2).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(dice.below(150).unsigned_abs())).await;
        let ended = daemon.kill_9().await;
        killed += u32::from(!ended.status.success());
    }
    assert!(killed > 3, "only {killed} were killed at work");
    done.store(true, Ordering::Relaxed);
    let back = people.await.expect("no panic");
    assert!(back > 20, "only {back} rows came back");
    for job in ["archive", "clean"] {
        let ended = site.sexton(&["once", job]).await;
        assert!(ended.status.success(), "{ended:?}");
    }
    over.store(true, Ordering::Relaxed);
    let mut committed = 0;
    for writer in writers {
        let (written, count) = writer.await.expect("no panic");
        expected.extend(written);
        committed += count;
    }
    assert!(committed > 200, "only {committed} writes");
    assert_book(&book(&collector).await, &expected);
    collector.assert_whole().await;
    let archived = collector.count("select count(*) from public.interface_exceptions_archive").await;
    assert!(archived > 300, "only {archived} rows have moved");
}
