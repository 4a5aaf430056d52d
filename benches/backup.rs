//! How fast a backup is, beside what a good shell script would do, and beside plain `pg_dump`.
//!
//! ```text
//! cargo bench --bench backup                      a database of 1 GiB, 3 rounds
//! SEXTON_BENCH_MIB=64 SEXTON_BENCH_ROUNDS=1 cargo bench --bench backup
//! ```
//!
//! The parties take turns on one PostgreSQL (the embedded one) and one disk, each round in another order; a ratio is the median of
//! the rounds' ratios, so it means something on any machine. Needs `age` and `zstd` for the script.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Instant};

use sexton::{
    backups::{
        Packing,
        manifest::Manifest,
        restore::{self, Mode, Request},
        seal::{self, Identities, Recipient},
        shelf::shelf,
        source,
        take::{self, Wanted},
        work::Work,
    },
    child::Spawner,
    db::{Login, Target},
    embedded::{self, Cluster},
    secret::Secret,
    vault::{Options, Vault},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(bench(number("SEXTON_BENCH_MIB", 1024), number("SEXTON_BENCH_ROUNDS", 3)));
}

/// One party's turn.
const PARTIES: [&str; 4] =
    ["sexton, no fingerprint", "sexton, fingerprint", "dump | zstd | age | copy", "pg_dump -Fc (gzip)"];

struct Site {
    target: Target,
    spawner: Spawner,
    recipient: Recipient,
    identities: Identities,
    folder: std::path::PathBuf,
    bin: std::path::PathBuf,
}

async fn bench(mib: u64, rounds: u64) {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let folder = tempfile::Builder::new().prefix("sexton-bench-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let spawner = Spawner::start().unwrap();
    let cluster = Cluster::start(folder.path(), &embedded::Options::default(), &spawner).await.unwrap();
    cluster.create_database("bench").await.unwrap();
    let login = Login::new(&Secret::new(cluster.url("bench")), None).unwrap();
    let target = Target::new("bench", login, None);
    let bytes = fill(&target, mib).await;
    let (secret, recipient) = seal::generate();
    let site = Site {
        target,
        spawner,
        recipient,
        identities: Identities::of_text(&secret).unwrap(),
        folder: folder.path().to_owned(),
        bin: cluster.binaries().dir.clone(),
    };
    fs::create_dir(site.folder.join("vault")).unwrap();
    println!("a database of {} MiB, {rounds} rounds in turns, PostgreSQL {}", bytes >> 20, cluster.binaries().major);
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); PARTIES.len()];
    let mut peak = 0;
    for round in 0..rounds as usize {
        for turn in 0..PARTIES.len() {
            let party = (turn + round) % PARTIES.len();
            let begun = Instant::now();
            let stored = match party {
                0 | 1 => {
                    forget_peak();
                    let manifest = ours(&site, if party == 0 { 0 } else { 2 }).await;
                    peak = peak.max(peak_kib());
                    remove(&site, &manifest).await;
                    manifest.bytes()
                }
                2 => script(&site),
                _ => plain(&site),
            };
            let took = begun.elapsed().as_secs_f64();
            println!("round {round}: {:<26} {took:7.2} s, {} MiB stored", PARTIES[party], stored >> 20);
            seconds[party].push(took);
        }
    }
    let ratio = |of: usize, to: usize| median(seconds[of].iter().zip(&seconds[to]).map(|(of, to)| of / to).collect());
    println!("\nsexton beside dump | zstd | age | copy: {:.2} times its speed (aim 0.95)", ratio(2, 0));
    println!("sexton beside pg_dump -Fc:              {:.2} times its speed (aim 2)", ratio(3, 0));
    println!("a fingerprint by two connections costs: {:.0} % more time", (ratio(1, 0) - 1.0) * 100.0);
    println!("resident memory of this process:        {} MiB at most (aim 150)", peak >> 10);
    let restores = restores(&site, rounds).await;
    println!("a restore beside plain pg_restore:      {restores:.2} times its speed");
    cluster.stop().await.unwrap();
}

/// Restores a sealed backup from the vault, in turns with `pg_restore` of a plain dump from the same disk.
async fn restores(site: &Site, rounds: u64) -> f64 {
    ours(site, 0).await;
    let dump = site.folder.join("plain.dump");
    let line = format!("{}/pg_dump -Fc > {}", site.bin.display(), dump.display());
    run(site, &line);
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let (mut plain, mut own) = (0.0, 0.0);
        for turn in 0..2 {
            let begun = Instant::now();
            if (round + turn) % 2 == 0 {
                let bin = site.bin.display();
                run(
                    site,
                    &format!("{bin}/createdb -T template0 again && {bin}/pg_restore -e -d again {}", dump.display()),
                );
                plain = begun.elapsed().as_secs_f64();
                run(site, &format!("{bin}/dropdb again"));
            } else {
                restore_ours(site).await;
                own = begun.elapsed().as_secs_f64();
                run(site, &format!("{}/dropdb again", site.bin.display()));
            }
        }
        println!("restore {round}: sexton {own:.2} s, pg_restore {plain:.2} s");
        ratios.push(plain / own);
    }
    median(ratios)
}

async fn restore_ours(site: &Site) {
    let vault = Vault::new("main", Options::Dir(site.folder.join("vault")));
    let (stop, tell) = (CancellationToken::new(), |_: u64, _: Option<u64>, _: &str, _: Option<&str>| {});
    let work = Work { spawner: &site.spawner, pg_bin: Some(&site.bin), stop: &stop, tell: &tell };
    let request = Request {
        vault: &vault,
        backup: shelf(&vault, None).await.unwrap().remove(0),
        login: site.target.login.clone(),
        pg_bin: None,
        database: Some("again".to_owned()),
        mode: Mode::Full,
        tables: Vec::new(),
        schemas: Vec::new(),
        identities: site.identities.clone(),
        jobs: 1,
        scratch: site.folder.clone(),
        globals: false,
        owners: true,
        swap: false,
        keep_old: std::time::Duration::from_secs(60),
    };
    let plan = restore::plan(&work, request).await.unwrap();
    plan.carry_out(&work).await.unwrap();
}

/// Rows of text, JSON and numbers until the database has this size; returns its bytes.
async fn fill(target: &Target, mib: u64) -> u64 {
    let rows = mib * 1024 * 1024 / 420;
    for statement in [
        "create table events (id bigint primary key, at timestamptz not null, name text not null, body jsonb not null, amount numeric)",
        &format!(
            "insert into events select n, timestamptz '2026-01-01' + n * interval '1 second', 'event ' || n % 97, \
             jsonb_build_object('id', md5(n::text), 'note', repeat(md5((n % 1000)::text), 6), 'n', n), n * 1.25 \
             from generate_series(1, {rows}) n"
        ),
        "create index on events (at)",
        "create index on events (name, at)",
        "vacuum analyze events",
        "checkpoint",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(target.pool()).await.unwrap();
    }
    let bytes: i64 =
        sqlx::query_scalar("select pg_database_size(current_database())").fetch_one(target.pool()).await.unwrap();
    bytes.unsigned_abs()
}

async fn ours(site: &Site, fingerprint: usize) -> Manifest {
    let vault = Vault::new("main", Options::Dir(site.folder.join("vault")));
    let (stop, tell) = (CancellationToken::new(), |_: u64, _: Option<u64>, _: &str, _: Option<&str>| {});
    let work = Work { spawner: &site.spawner, pg_bin: Some(&site.bin), stop: &stop, tell: &tell };
    let facts = source::look(&site.target, &work).await.unwrap();
    let wanted = Wanted {
        name: "bench",
        target: &site.target,
        vault: &vault,
        packing: Packing { level: 3, recipients: vec![site.recipient.clone()] },
        ephemeral: None,
        parallel: None,
        exclude_table_data: &[],
        globals: false,
        role_passwords: false,
        fingerprint,
        run: Uuid::now_v7(),
        job: "bench",
    };
    take::take(&work, &wanted, &facts).await.unwrap()
}

async fn remove(site: &Site, manifest: &Manifest) {
    let vault = Vault::new("main", Options::Dir(site.folder.join("vault")));
    vault.delete(&manifest.stem().manifest()).await.unwrap();
    for part in &manifest.parts {
        vault.delete(&part.key).await.unwrap();
    }
}

/// What a good shell script does.
fn script(site: &Site) -> u64 {
    let out = site.folder.join("script.out");
    let line = format!(
        "set -o pipefail; {}/pg_dump -Fc -Z0 | zstd -q -3 | age -r {} > {out} && sync {out}",
        site.bin.display(),
        site.recipient.as_str(),
        out = out.display(),
    );
    shell(site, &line, &out)
}

fn plain(site: &Site) -> u64 {
    let out = site.folder.join("plain.out");
    let line = format!("{}/pg_dump -Fc > {out} && sync {out}", site.bin.display(), out = out.display());
    shell(site, &line, &out)
}

fn run(site: &Site, line: &str) {
    let status = Command::new("bash").args(["-c", line]).envs(site.target.login.libpq()).status().unwrap();
    assert!(status.success(), "{line}: {status}");
}

fn shell(site: &Site, line: &str, out: &Path) -> u64 {
    run(site, line);
    let bytes = fs::metadata(out).unwrap().len();
    fs::remove_file(out).unwrap();
    bytes
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Starts counting the most memory anew.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
