//! How fast rows move to the archive, and what that does to others at work in the same database.
//!
//! ```text
//! cargo bench --bench data                                  1,000,000 rows with two children each
//! SEXTON_BENCH_ROWS=100000 cargo bench --bench data
//! SEXTON_BENCH_ONLY=speed cargo bench --bench data          or `load`: one half alone
//! ```
//!
//! Three parties move the same rows on copies of one database, on one server with durable settings, in turns: `sexton
//! once` (the real binary, as a child), one hand-written statement, and the row-by-row loop that Sexton replaces, on
//! a twentieth of the rows. Then a load of small statements at a fixed rate is measured without and with a throttled
//! archive beside it. The ratios mean something on any machine, the absolute numbers only on yours.
//!
//! More variables: `SEXTON_BENCH_ROUNDS` (2), `SEXTON_BENCH_SECONDS` of each stretch of load (20), `SEXTON_BENCH_RATE` of
//! its statements (200 a second), `SEXTON_BENCH_THROTTLE` (keys of the throttled `[archive]` table).
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, unreachable_pub)]

mod load;
mod parties;
mod site;
mod watch;

use parties::{Call, Moved};
use site::Site;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn main() {
    let rows = number("SEXTON_BENCH_ROWS", 1_000_000);
    let only = std::env::var("SEXTON_BENCH_ONLY").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let site = Site::new(rows).await;
        println!("{rows} rows with 2 children each, PostgreSQL {}", site.major());
        if only != "load" {
            speed(&site, rows).await;
        }
        if only != "speed" {
            load(&site).await;
        }
        site.end().await;
    });
}

/// Rows a second, in turns; of each party its best round, since what else the machine does only ever slows one down.
async fn speed(site: &Site, rows: u64) {
    let rounds = number("SEXTON_BENCH_ROUNDS", 2);
    let (mut by_hand, mut sexton) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Neither always works on the warmer machine.
        if round % 2 == 0 {
            by_hand.push(parties::by_hand(site, rows).await);
            sexton.push(parties::sexton(site, rows).await);
        } else {
            sexton.push(parties::sexton(site, rows).await);
            by_hand.push(parties::by_hand(site, rows).await);
        }
    }
    let best = |rounds: Vec<Moved>| rounds.into_iter().max_by(|a, b| a.rate().total_cmp(&b.rate())).unwrap();
    let (by_hand, sexton) = (best(by_hand), best(sexton));
    let kindly = parties::row_by_row(site, Call::Kindly).await;
    let as_shipped = parties::row_by_row(site, Call::AsShipped).await;

    println!(
        "\n{:<34} {:>9} {:>8} {:>7} {:>6} {:>14} {:>9} {:>9}",
        "", "rows", "s", "rows/s", "cpu s", "longest tx, ms", "WAL MB", "sexton is"
    );
    let parties = [
        ("sexton once", Some(&sexton)),
        ("one statement", Some(&by_hand)),
        ("row by row, one small batch", kindly.as_ref()),
        ("row by row, as shipped", as_shipped.as_ref()),
    ];
    for (name, moved) in parties {
        let Some(moved) = moved else {
            println!("{name:<34} cancelled after 10 minutes, all of it rolled back");
            continue;
        };
        println!(
            "{name:<34} {:>9} {:>8.1} {:>7.0} {:>6.1} {:>14} {:>9} {:>8.2}x",
            moved.rows,
            moved.took.as_secs_f64(),
            moved.rate(),
            moved.cpu,
            moved.seen.longest_writing.as_millis(),
            moved.wal >> 20,
            sexton.rate() / moved.rate(),
        );
    }
    println!();
    println!("sexton, longest read-only transaction {} ms", sexton.seen.longest_reading.as_millis());
    println!("sexton, most memory of the process {} MiB", sexton.memory >> 20);
    println!("sexton, its report: {}", sexton.report);
}

/// What a throttled archive does to others.
async fn load(site: &Site) {
    let measured = load::measure(site).await;
    println!("\n{} statements a second of others, each stretch {} s", measured.rate, measured.seconds);
    println!("{:<34} {:>9} {:>9} {:>9} {:>9}", "", "count", "p50, ms", "p99, ms", "most, ms");
    for (name, stretch) in [("alone", &measured.calm), ("beside a throttled archive", &measured.busy)] {
        println!(
            "{name:<34} {:>9} {:>9.2} {:>9.2} {:>9.2}",
            stretch.len(),
            load::at(stretch, 0.5),
            load::at(stretch, 0.99),
            load::at(stretch, 1.0),
        );
    }
    println!("p99 rises by {:.0} %", (load::at(&measured.busy, 0.99) / load::at(&measured.calm, 0.99) - 1.0) * 100.0);
    println!("the throttled archive moved {:.0} rows a second meanwhile", measured.moved_a_second);
}
