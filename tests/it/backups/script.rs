//! `scripts/restore-database.sh`: every documented flag, against an S3 server and a PostgreSQL, by the real binary.

use std::path::Path;

use serde_json::json;
use sexton::{child::Captured, vault::Vaults};
use tokio::process::Command;

use super::proving::{awkward, done, job};
use crate::support::{Database, Site, ctx, s3::S3};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/restore-database.sh");

/// A bucket with a backup of a database, under the names that its people know.
struct Bench {
    database: Database,
    s3: S3,
    stem: String,
    site: Site,
}

impl Bench {
    async fn new() -> Self {
        let (database, s3) = (awkward().await, S3::start().await);
        let vault = s3.vault("database-backups", true);
        let named = json!({"name": "exception_collector", "prove": "never"});
        let report = done(job(named), ctx([database.target("t")], Vaults::new([vault]))).await;
        let stem = report.get("backup").unwrap().as_str().unwrap().to_owned();
        Self { database, s3, stem, site: Site::new("") }
    }

    /// Runs the script as its people do.
    async fn script(&self, args: &[&str]) -> Captured {
        let mut command = Command::new(SCRIPT);
        command.args(args).env_clear().envs(self.database.login().libpq());
        for inherited in ["PATH", "HOME", "TMPDIR", "SEXTON_PG_BIN"] {
            command.envs(std::env::var_os(inherited).map(|value| (inherited, value)));
        }
        command
            .env("SEXTON", env!("CARGO_BIN_EXE_sexton"))
            .env("AWS_ENDPOINT_URL", self.s3.endpoint())
            .env("AWS_ACCESS_KEY_ID", "AKTEST")
            .env("AWS_SECRET_ACCESS_KEY", "very-secret-key")
            .current_dir(self.site.folder());
        self.site.captured(command).await
    }

    fn name(&self, end: &str) -> String {
        format!("{}_{end}", self.database.name())
    }

    async fn count(&self, end: &str) -> i64 {
        let options = self.database.login().database(&self.name(end)).options();
        let pool = sqlx::PgPool::connect_with(options).await.unwrap();
        let count = sqlx::query_scalar("select count(*) from public.a").fetch_one(&pool).await.unwrap();
        pool.close().await;
        count
    }
}

#[tokio::test]
async fn the_script_lists_previews_makes_and_replaces() {
    let bench = Bench::new().await;
    let bucket = "--bucket=backups";
    // A bucket that is named after the command, or before it.
    for args in [&["--list-backups", "-b", "backups", "-r", "us-west-2"][..], &[bucket, "--list-backups"]] {
        let listed = bench.script(args).await;
        assert!(listed.status.success() && listed.stdout.contains(&bench.stem), "{listed:?}");
    }
    let (new, file) = (bench.name("new"), format!("{}.sql", &bench.stem[..bench.stem.len() - 13]));
    assert!(file.starts_with("exception_collector_backup_") && file.len() == 46, "{file}");
    let told = bench.script(&["-f", &file, bucket, "-d", &new]).await;
    assert!(told.status.success() && told.stdout.contains("nothing was done"), "{told:?}");
    let made = bench.script(&["-c", "-d", &new, "-f", &file, bucket, "--region=us-west-2"]).await;
    assert!(made.status.success(), "{made:?}");
    assert_eq!(bench.count("new").await, 500);
    // Into one that is there: beside it, compared, and then by its name.
    let database = format!("--database={new}");
    let swapped = bench.script(&["--confirm", bucket, &database, "--mode=full", "--backup-file", &bench.stem]).await;
    assert!(swapped.status.success() && swapped.stdout.contains("the old database is"), "{swapped:?}");
    assert_eq!(bench.count("new").await, 500);
    // Definitions first, then rows; and rows that are there already are refused up front.
    let (parts, object) = (bench.name("parts"), format!("database-backups/{}.dump.zst", bench.stem));
    for (mode, code) in [("schema-only", 0), ("data-only", 0), ("data-only", 1), ("schema-only", 1)] {
        let ran = bench.script(&["-m", mode, "-f", &object, "-d", &parts, "-c", "-b", "backups"]).await;
        assert_eq!(ran.status.code(), Some(code), "{mode}: {ran:?}");
    }
    assert_eq!(bench.count("parts").await, 500);
    let part = |name: String| async {
        let name = name;
        bench.script(&["-f", &object, "-d", &name, bucket, "-c", "--", "--table", "public.b"]).await
    };
    let ran = part(bench.name("part")).await;
    assert!(ran.status.success(), "{ran:?}");
    let ran = part(new).await;
    assert_eq!(ran.status.code(), Some(1), "a part takes nobody's place: {ran:?}");
}

#[tokio::test]
async fn the_script_says_what_is_wrong_with_its_usage() {
    let bench = Bench::new().await;
    for args in [
        &["-f"][..],
        &["--nothing"],
        &["-m", "half", "-f", "x", "-d", "y"],
        &["-d", "x"],
        &["-f", "x"],
        &["--confirm=yes"],
    ] {
        let ran = bench.script(args).await;
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with("error: "), "{ran:?}");
    }
    let help = bench.script(&["-h"]).await;
    for flag in ["--backup-file", "--database", "--mode", "--bucket", "--region", "--confirm", "--list-backups"] {
        assert!(help.stdout.contains(flag), "{flag}");
    }
    let none = bench.script(&["-f", "nothing_backup_20200101", "-d", "x", "-b", "backups"]).await;
    assert!(none.status.code() == Some(1) && none.stderr.contains(&bench.stem), "{none:?}");
    assert!(Path::new(SCRIPT).exists());
}
