//! A backup exists once it is whole: real `pg_dump`, real restore, and dumps that go wrong in every way.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use sexton::{
    child::Spawner,
    db::{Login, Target},
    kinds::{Backup, Broken, Ctx, Kind},
    outcome::{Again, Failure, Outcome, Report},
    secret::Secret,
    vault::{Options, Vault, Vaults},
};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use tokio::io::AsyncReadExt;

use crate::support::{Database, ctx, eventually, next_attempt, s3::S3};

/// A database with a few thousand rows and some awkward names.
async fn source() -> Database {
    let database = Database::empty().await;
    sqlx::raw_sql(
        "create table public.\"Odd \"\"name\"(id bigint primary key, note text, blob bytea);
         insert into public.\"Odd \"\"name\" select n, repeat(md5(n::text), 8), sha256(n::text::bytea) from generate_series(1, 5000) n;
         create table public.empty(id int);",
    )
    .execute(database.pool())
    .await
    .unwrap();
    database
}

fn kind() -> Backup {
    serde_json::from_value(
        json!({"target": "t", "vault": "main", "name": "shop", "waiver": "a test", "globals": false, "prove": "never"}),
    )
    .unwrap()
}

async fn done(ctx: Ctx) -> Report {
    match kind().run(ctx).await {
        Ok(Outcome::Done(report)) => report,
        other => panic!("not done: {other:?}"),
    }
}

async fn failed(ctx: Ctx) -> Failure {
    match kind().run(ctx).await {
        Err(Broken::Failed(failure)) | Ok(Outcome::Failed(failure)) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

async fn programs() -> PathBuf {
    let spawner = Spawner::start().expect("a spawner");
    let fetched = crate::support::options(false).programs.unwrap_or_default();
    sexton::embedded::find(&fetched, &spawner).await.expect("PostgreSQL").remove(0).dir
}

/// Reads the one backup of a vault back, holds it against its manifest, restores it, and counts.
async fn restores(vault: &Vault, report: &Report, database: &Database) {
    let manifests = vault.list("metadata/").await.unwrap();
    assert_eq!(manifests.len(), 1, "{manifests:?}");
    let mut text = String::new();
    vault.get(&manifests[0].key).await.unwrap().read_to_string(&mut text).await.unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let part = &manifest["parts"][0];
    let mut stored = Vec::new();
    vault.get(part["key"].as_str().unwrap()).await.unwrap().read_to_end(&mut stored).await.unwrap();
    let digest: String = Sha256::digest(&stored).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((part["sha256"].as_str(), part["bytes"].as_u64()), (Some(digest.as_str()), Some(stored.len() as u64)));
    assert_eq!(report.get("sha256").and_then(Value::as_str), Some(digest.as_str()));
    assert!(manifest["toc_entries"].as_u64().unwrap() >= 3, "{manifest}");
    assert!(manifest["restore"].as_str().unwrap().contains("pg_restore"), "{manifest}");

    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump");
    fs::write(&dump, zstd::decode_all(stored.as_slice()).unwrap()).unwrap();
    let into = Database::empty().await;
    let login = into.login();
    let output = std::process::Command::new(programs().await.join("pg_restore"))
        .args(["--exit-on-error", "--no-owner", "--dbname", into.name()])
        .arg(&dump)
        .envs(login.libpq())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let sum = "select count(*), md5(string_agg(note || blob::text, '' order by id)) from public.\"Odd \"\"name\"";
    let here: (i64, String) = sqlx::query_as(sum).fetch_one(database.pool()).await.unwrap();
    let there: (i64, String) = sqlx::query_as(sum).fetch_one(into.pool()).await.unwrap();
    assert_eq!(here, there);
}

#[tokio::test]
async fn a_backup_in_a_folder_restores_with_stock_tools() {
    let (database, folder) = (source().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let report = done(ctx([database.target("t")], Vaults::new([vault()]))).await;
    assert!(report.number("bytes").unwrap() > 100_000.0, "{report:?}");
    assert!(report.number("dump_bytes") > report.number("bytes"), "{report:?}");
    restores(&vault(), &report, &database).await;
    // Stock tools means zstd's, too, where this machine has it.
    let programs = programs().await;
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    if std::env::split_paths(&path).any(|dir| dir.join("zstd").is_file()) {
        let command = report.get("restore").and_then(Value::as_str).unwrap();
        let into = database.login().libpq().into_iter().filter(|(name, _)| *name != "PGDATABASE");
        let output =
            std::process::Command::new("sh").args(["-c", command]).env("PATH", path).envs(into).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        let restored = format!("{}_restored", database.name());
        let mut there = PgConnection::connect_with(&database.login().database(&restored).options()).await.unwrap();
        let rows: i64 =
            sqlx::query_scalar("select count(*) from public.\"Odd \"\"name\"").fetch_one(&mut there).await.unwrap();
        there.close().await.unwrap();
        let drop = sqlx::AssertSqlSafe(format!("drop database {restored} with (force)"));
        sqlx::query(drop).execute(database.pool()).await.unwrap();
        assert_eq!(rows, 5000);
    }
}

#[tokio::test]
async fn a_backup_in_an_s3_bucket_restores_with_stock_tools() {
    let (database, s3) = (source().await, S3::start().await);
    let report = done(ctx([database.target("t")], Vaults::new([s3.vault("database-backups", true)]))).await;
    restores(&s3.vault("database-backups", true), &report, &database).await;
}

/// Programs of which `pg_dump` is a script; `$REAL` in it is the real one.
async fn with_pg_dump(script: &str) -> tempfile::TempDir {
    let folder = crate::support::open_folder("sexton-pg-");
    let real = programs().await;
    for entry in fs::read_dir(&real).unwrap().flatten() {
        if entry.file_name() != "pg_dump" {
            std::os::unix::fs::symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let path = folder.path().join("pg_dump");
    let version = "case \"$*\" in *--version*|*-V*) exec $REAL --version ;; esac\n";
    let version = if script.contains("--version") { "" } else { version };
    let text = format!("#!/bin/sh\nREAL={}/pg_dump\n{version}{script}\n", real.display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[tokio::test]
async fn a_dump_that_goes_wrong_leaves_nothing_and_says_why() {
    let database = source().await;
    let cases = [
        (
            "dies half-way",
            "$REAL \"$@\" | head -c 5000; echo 'server closed the connection' >&2; exit 1",
            "server closed",
        ),
        ("is killed half-way", "$REAL \"$@\" | head -c 5000; kill -9 $$", "pg_dump"),
        ("writes nothing and says that all is well", "exit 0", "pg_dump"),
        ("writes something else", "echo hello; exit 0", "pg_dump"),
        ("ends too early and says that all is well", "$REAL \"$@\" | head -c 300; exit 0", "table of contents"),
        (
            "is too old",
            "case \"$*\" in *--version*|*-V*) echo 'pg_dump (PostgreSQL) 9.6.1' ;; esac; exit 0",
            "newest here is of 9",
        ),
    ];
    for (what, script, said) in cases {
        let (programs, folder) = (with_pg_dump(script).await, tempfile::tempdir().unwrap());
        let mut target = database.target("t");
        target.pg_bin = Some(programs.path().to_owned());
        let vaults = Vaults::new([Vault::new("main", Options::Dir(folder.path().to_owned()))]);
        let failure = failed(ctx([target], vaults)).await;
        assert!(failure.why.contains(said), "{what}: {}", failure.why);
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new(), "{what} left something");
    }
}

#[tokio::test]
async fn wherever_a_dump_is_cut_off_it_is_no_backup() {
    let database = source().await;
    let folder = tempfile::tempdir().unwrap();
    let vaults = || Vaults::new([Vault::new("main", Options::Dir(folder.path().to_owned()))]);
    let whole = done(ctx([database.target("t")], vaults())).await.number("dump_bytes").unwrap() as u64;
    let before = files(folder.path());
    // The status of a pipe is its last program's: pg_dump that died seems well.
    for at in [0, 1, 4, 5, 11, 100, 1_000, 4_000, whole / 2, whole - 4_096, whole - 1] {
        let programs = with_pg_dump(&format!("$REAL \"$@\" | head -c {at}; kill -9 $$")).await;
        let mut target = database.target("t");
        target.pg_bin = Some(programs.path().to_owned());
        failed(ctx([target], vaults())).await;
        assert_eq!(files(folder.path()), before, "cut off after {at} bytes");
    }
}

#[tokio::test]
async fn two_daemons_that_back_up_the_same_at_once_take_two_whole_backups() {
    let database = source().await;
    let folder = tempfile::tempdir().unwrap();
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let run = || done(ctx([database.target("t")], Vaults::new([vault()])));
    let (one, two) = tokio::join!(run(), run());
    assert_ne!(one.get("key"), two.get("key"));
    let backups = sexton::backups::shelf::shelf(&vault(), Some("shop")).await.unwrap();
    assert_eq!(backups.len(), 2, "{backups:?}");
    for entry in &backups {
        let manifest = sexton::backups::manifest::Manifest::read(&vault(), &entry.stem).await.unwrap();
        assert!(manifest.is_whole(&vault()).await.unwrap());
    }
}

#[tokio::test]
async fn a_machine_without_pg_dump_says_what_to_install() {
    let (database, empty) = (source().await, tempfile::tempdir().unwrap());
    let mut target = database.target("t");
    target.pg_bin = Some(empty.path().to_owned());
    let vaults = Vaults::new([Vault::new("main", Options::Dir(empty.path().to_owned()))]);
    let failure = failed(ctx([target], vaults)).await;
    assert!(failure.why.contains("there is none here"), "{failure:?}");
    assert!(failure.help.as_deref().is_some_and(|help| help.contains("apt-get install")), "{failure:?}");
    assert_eq!(failure.again, Again::Never);
}

#[tokio::test]
async fn a_dump_that_hangs_ends_with_its_run() {
    let database = source().await;
    let (programs, folder) =
        (with_pg_dump("$REAL \"$@\" | head -c 5000; exec sleep 60").await, tempfile::tempdir().unwrap());
    let mut target = database.target("t");
    target.pg_bin = Some(programs.path().to_owned());
    let ctx = ctx([target], Vaults::new([Vault::new("main", Options::Dir(folder.path().to_owned()))]));
    let stop = ctx.stop.clone();
    let running = tokio::spawn(kind().run(ctx));
    eventually("the dump has begun", || async { (!files(folder.path()).is_empty()).then_some(()) }).await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(15), running).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(Broken::Stopped)), "{ended:?}");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_vault_that_refuses_is_found_before_anything_is_dumped() {
    let database = source().await;
    let s3 = S3::start().await;
    let failure = failed(ctx([database.target("t")], Vaults::new([s3.vault("", false)]))).await;
    assert_eq!(failure.again, Again::Never, "{failure:?}");
    assert!(failure.why.contains("main") && failure.help.is_some(), "{failure:?}");
    let failure = failed(ctx([database.target("t")], Vaults::default())).await;
    assert!(failure.why.contains("main"), "{failure:?}");
    let failure = failed(ctx([], Vaults::new([s3.vault("", true)]))).await;
    assert!(failure.why.contains("no target `t`"), "{failure:?}");
}

#[tokio::test]
async fn an_attempt_after_a_kill_removes_what_was_begun() {
    let (database, folder) = (source().await, tempfile::tempdir().unwrap());
    let vault = || Vault::new("main", Options::Dir(folder.path().to_owned()));
    let ctx = ctx([database.target("t")], Vaults::new([vault()]));
    let of_run = &ctx.run.id.simple().to_string()[20..];
    // What kill -9 leaves: an unfinished file, and a whole one whose manifest was never written.
    let others = "shop_backup_20260101_020000_0123456789ab.dump.zst.partial";
    fs::write(folder.path().join(others), "another run's").unwrap();
    fs::write(folder.path().join(format!("shop_backup_20260101_020000_{of_run}.dump.zst.partial")), "half").unwrap();
    fs::write(folder.path().join(format!("shop_backup_20260101_010000_{of_run}.dump.zst")), "undeclared").unwrap();
    let report = done(ctx).await;
    let key = report.get("key").and_then(Value::as_str).unwrap();
    let manifest = format!("metadata/{}.manifest.json", key.strip_suffix(".dump.zst").unwrap());
    let mut left: Vec<_> = files(folder.path()).into_iter().collect();
    left.sort();
    let mut wanted = [others, key, &manifest].map(|key| folder.path().join(key));
    wanted.sort();
    assert_eq!(left, wanted);
}

#[tokio::test]
async fn a_kill_after_the_manifest_makes_no_second_backup() {
    let (database, s3) = (source().await, S3::start().await);
    let ctx = ctx([database.target("t")], Vaults::new([s3.vault("", true)]));
    let again = next_attempt(&ctx);
    let first = done(ctx).await;
    let second = done(again.clone()).await;
    assert_eq!(first.get("key"), second.get("key"));
    assert_eq!(first.get("sha256"), second.get("sha256"));
    assert_eq!(s3.vault("", true).list("").await.unwrap().len(), 2);
    // A manifest whose dump is gone is no backup.
    let key = first.get("key").and_then(Value::as_str).unwrap();
    s3.vault("", true).delete(key).await.unwrap();
    let third = done(again).await;
    restores(&s3.vault("", true), &third, &database).await;
}

#[tokio::test]
async fn the_password_reaches_pg_dump_in_a_file_alone() {
    let (database, folder, seen) = (source().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let out = seen.path().display();
    let script = format!(
        "env > {out}/env; echo \"$*\" > {out}/argv; cat \"$PGPASSFILE\" > {out}/file; echo \"$PGPASSFILE\" > {out}/path; \
         stat -c %a \"$PGPASSFILE\" > {out}/mode; exec $REAL \"$@\""
    );
    let programs = with_pg_dump(&script).await;
    let login = Login::new(&Secret::new(database.url()), Some(Secret::new("pa:ss\\word"))).unwrap();
    let target = Target::new("t", login, Some(programs.path().to_owned()));
    done(ctx([target], Vaults::new([Vault::new("main", Options::Dir(folder.path().to_owned()))]))).await;
    let read = |name: &str| fs::read_to_string(seen.path().join(name)).unwrap();
    assert_eq!((read("file").as_str(), read("mode").as_str()), ("*:*:*:*:pa\\:ss\\\\word\n", "600\n"));
    assert!(!read("env").contains("pa:ss") && !read("argv").contains("pa:ss"));
    assert!(!Path::new(read("path").trim()).exists(), "the file stays behind");
}

/// The same database, by a role that is no superuser.
fn as_role(database: &Database, role: &str) -> Target {
    let url = format!("{}&options=-c%20role%3D{role}", database.url());
    Target::new("t", Login::new(&Secret::new(url), None).unwrap(), None)
}

#[tokio::test]
async fn a_role_that_may_only_read_takes_a_whole_backup_and_one_that_may_not_says_what_to_grant() {
    let database = source().await;
    for statement in [
        "create role sexton_reader in role pg_read_all_data",
        "create role sexton_nobody",
        "create table guarded(id int); ",
    ] {
        // Roles are the cluster's: another test may have made them.
        let _ = sqlx::raw_sql(statement).execute(database.pool()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let vaults = || Vaults::new([Vault::new("main", Options::Dir(folder.path().to_owned()))]);
    let with_globals = || {
        let table = json!({"target": "t", "vault": "main", "name": "shop", "waiver": "a test", "prove": "never"});
        serde_json::from_value::<Backup>(table).unwrap()
    };
    let ended = with_globals().run(ctx([as_role(&database, "sexton_reader")], vaults())).await;
    assert!(matches!(ended, Ok(Outcome::Done(_))), "{ended:?}");
    let failure = failed(ctx([as_role(&database, "sexton_nobody")], vaults())).await;
    assert!(
        failure.help.as_deref().is_some_and(|help| help.contains("pg_read_all_data") || help.contains("grant")),
        "{failure:?}"
    );
    // Row security would hide rows: that is no backup.
    sqlx::raw_sql("alter table guarded enable row level security").execute(database.pool()).await.unwrap();
    let failure = failed(ctx([as_role(&database, "sexton_reader")], vaults())).await;
    assert!(failure.help.as_deref().is_some_and(|help| help.contains("BYPASSRLS")), "{failure:?}");
    assert_eq!(files(folder.path()).iter().filter(|path| path.to_string_lossy().contains("manifest")).count(), 1);
}
