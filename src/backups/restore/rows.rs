//! Rows into tables that are there and empty: all of them in one transaction, or nothing.
//!
//! `pg_restore` writes a script, and `psql` runs it between what comes before and after. The last word, COMMIT, is
//! written only once `pg_restore` has ended well and the object was read to its end and is what was stored; so whoever
//! is killed, and whenever, everything rolls back.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout},
    time::timeout,
};

use super::{
    place::Place,
    plan::Plan,
    preview::{Problem, Restored},
    pump::Pump,
    rows_sql::Around,
    script::Script,
    select, server,
    verify::{How, Verified, verify},
};
use crate::{
    backups::{
        dump::GRACE,
        fingerprint::Leave,
        load::{self, Broken, Load},
        manifest,
        pipe::{CHUNK, Unpacking},
        program::{Access, Said, bare, named},
        work::{Ended, Work},
    },
    child::Child,
    db::failure,
    outcome::{Again, Failure},
};

/// How many tables are named in one problem.
const NAMED: usize = 20;
/// How long the last words of a program may take to arrive.
const QUIET: Duration = Duration::from_secs(5);

/// What is known before the first row.
#[derive(Debug)]
pub(super) struct Rows {
    /// The tables that are filled, quoted.
    pub(super) tables: Vec<String>,
    around: Around,
    /// Entries of the dump that are restored; everything that is data without it.
    entries: Option<Vec<String>>,
    /// The sequences that come with them, quoted; all without it.
    sequences: Option<Vec<String>>,
}

/// Looks at the tables that would be filled: they must be there with every column, and empty.
pub(super) async fn look(
    plan: &Plan<'_>,
    script: &Script,
    entries: &[String],
    problems: &mut Vec<Problem>,
) -> Result<Rows, Failure> {
    let wanted = plan.chosen.clone().unwrap_or_else(|| select::all(script, entries));
    let login = plan.request.login.database(plan.place.filled());
    let refused = |error: sqlx::Error| failure(&error);
    let mut connection = server::within(&login).await.map_err(refused)?;
    let there: Vec<(String, Vec<String>)> = sqlx::query_as(include_str!("../../../sql/target/restore_tables.sql"))
        .fetch_all(&mut connection)
        .await
        .map_err(refused)?;
    let there: BTreeMap<_, _> = there.into_iter().collect();
    missing(script, &wanted, &there, problems);
    let tables: Vec<String> = wanted.iter().filter(|name| there.contains_key(*name)).cloned().collect();
    let counted = server::counts(&mut connection, &tables).await.map_err(refused)?;
    let filled: Vec<String> =
        counted.iter().filter(|(_, rows)| *rows > 0).map(|(name, rows)| format!("{name} ({rows} rows)")).collect();
    if !filled.is_empty() {
        let what = format!("{} of the tables have rows: {}", filled.len(), some(&filled));
        problems
            .push(Problem::new(what, "rows are only restored into empty tables: empty these, or restore --mode full"));
    }
    let whole = plan.chosen.is_none();
    if whole && select::has_large_objects(entries) {
        let large: i64 = sqlx::query_scalar(include_str!("../../../sql/target/restore_large_objects.sql"))
            .fetch_one(&mut connection)
            .await
            .map_err(refused)?;
        if large > 0 {
            let what = format!("the database has {large} large objects, whose numbers the backup's may have");
            problems.push(Problem::new(what, "unlink them (lo_unlink), or restore --mode full into a new database"));
        }
    }
    let around = around(&mut connection, tables.clone(), entries).await.map_err(refused)?;
    let (entries, sequences) = if whole {
        (None, None)
    } else {
        let own: Vec<(String, String)> = sqlx::query_as(include_str!("../../../sql/target/restore_sequences.sql"))
            .bind(&tables)
            .fetch_all(&mut connection)
            .await
            .map_err(refused)?;
        let (names, plain): (Vec<_>, Vec<_>) = own.into_iter().unzip();
        (Some(select::for_rows(entries, &wanted, &plain)), Some(names))
    };
    let _ = timeout(QUIET, connection.close()).await;
    Ok(Rows { tables, around, entries, sequences })
}

fn missing(
    script: &Script,
    wanted: &BTreeSet<String>,
    there: &BTreeMap<String, Vec<String>>,
    problems: &mut Vec<Problem>,
) {
    let help = "restore the definitions first (--mode schema-only into a new database), or add what is missing";
    let gone: Vec<String> = wanted.iter().filter(|name| !there.contains_key(*name)).cloned().collect();
    if !gone.is_empty() {
        problems.push(Problem::new(format!("{} tables are not there: {}", gone.len(), some(&gone)), help));
    }
    let columns = |name: &String| {
        let (is, table) = (there.get(name)?, script.tables.get(name)?);
        let gone: Vec<_> = table.columns.iter().filter(|column| !is.contains(column)).cloned().collect();
        (!gone.is_empty()).then(|| format!("{name} ({})", gone.join(", ")))
    };
    let gone: Vec<String> = wanted.iter().filter_map(columns).collect();
    if !gone.is_empty() {
        problems.push(Problem::new(format!("columns are not there, or are generated: {}", some(&gone)), help));
    }
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

async fn around(connection: &mut PgConnection, tables: Vec<String>, entries: &[String]) -> Result<Around, sqlx::Error> {
    // Asked by doing it: a superuser may, and since 15 whoever was granted the parameter.
    let mut trying = connection.begin().await?;
    let replica = sqlx::query("set local session_replication_role = replica").execute(&mut *trying).await.is_ok();
    trying.rollback().await?;
    let keys = sqlx::query_as(include_str!("../../../sql/target/restore_keys.sql"))
        .bind(&tables)
        .fetch_all(&mut *connection)
        .await?;
    let triggers = sqlx::query_as(include_str!("../../../sql/target/restore_triggers.sql"))
        .bind(&tables)
        .bind(replica)
        .fetch_all(&mut *connection)
        .await?;
    let views: Vec<(String, String)> =
        sqlx::query_as(include_str!("../../../sql/target/restore_views.sql")).fetch_all(&mut *connection).await?;
    Ok(Around { tables, replica, keys, triggers, views: select::refreshed(entries, &views) })
}

/// Does it.
pub(super) async fn restore(work: &Work<'_>, plan: &Plan<'_>, rows: &Rows) -> Result<Restored, Ended> {
    let begun = Instant::now();
    let request = &plan.request;
    let login = request.login.database(plan.place.filled());
    let access = Access::new(&login)?;
    let order = Load {
        vault: request.vault,
        manifest: &plan.manifest,
        identities: &request.identities,
        access: &access,
        tools: &plan.tools,
        flags: &[],
        entries: rows.entries.as_deref(),
        jobs: 1,
        scratch: &request.scratch,
    };
    pour(work, &order, &rows.around).await.map_err(Ended::from)?;
    let only: Option<Vec<String>> = plan.chosen.as_ref().map(|chosen| chosen.iter().cloned().collect());
    let leave = Leave { definitions: true, rest: only.is_some(), ..Leave::default() };
    let how = How {
        only: only.as_deref(),
        leave,
        sequences: rows.sequences.as_deref(),
        connections: request.jobs.max(2),
        major: plan.server.major(),
    };
    let Verified { checked, differences, tables, rows } =
        verify(work, &login, &plan.manifest, how).await.map_err(Ended::from)?;
    let (Place::Onto(database) | Place::New(database) | Place::Empty(database) | Place::Beside { made: database, .. }) =
        &plan.place;
    Ok(Restored {
        backup: plan.manifest.stem().to_string(),
        database: database.clone(),
        checked,
        differences,
        tables,
        rows,
        seconds: (begun.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        replaced: None,
        notes: Vec::new(),
    })
}

/// A program and what it says.
struct Running {
    child: Child,
    said: Said,
    listener: Option<tokio_util::task::AbortOnDropHandle<()>>,
}

impl Running {
    async fn start(work: &Work<'_>, command: tokio::process::Command) -> Result<Self, Broken> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = (work.spawner.spawn(command).await)
            .map_err(|error| Broken::Unable(Failure::later(format!("{program} could not be started: {error}"))))?;
        let said = Said::default();
        let listener = said.listen(child.stderr.take());
        Ok(Self { child, said, listener })
    }

    /// Waits for its good end.
    async fn end(&mut self, name: &str) -> Result<(), Broken> {
        let status = self.child.wait().await;
        if let Some(listener) = self.listener.take() {
            let _ = timeout(QUIET, listener).await;
        }
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let why = format!("nothing was restored: {name} ended with {status}: {}", self.said.words());
                let failure = named(Failure::never(why));
                Err(Broken::Restore(Failure { again: Again::Never, ..failure }))
            }
            Err(error) => Err(Broken::Restore(Failure::later(format!("{name} cannot be waited for: {error}")))),
        }
    }
}

/// Pours the rows of a dump into a database.
async fn pour(work: &Work<'_>, load: &Load<'_>, around: &Around) -> Result<(), Broken> {
    let list = load::list(load)?;
    let mut from = bare(&load.tools.pg_restore);
    from.args(["--data-only", "--file=-"]).args(list.iter().map(|(_, path)| format!("--use-list={}", path.display())));
    let total = load.manifest.bytes();
    let seen = |bytes: u64| (work.tell)(bytes, Some(total.max(bytes)), "bytes", Some("restoring rows"));
    let (folder, mut unpacking) = match load.manifest.mode {
        manifest::Mode::Parallel => {
            let folder = load::room(load)?;
            let at = folder.path().join("dump");
            load::fetch(work, load, &at, &seen).await?;
            from.arg(&at);
            (Some(folder), None)
        }
        manifest::Mode::Single => {
            let part = load::dump(load.manifest).map_err(Broken::Stored)?;
            from.stdin(Stdio::piped());
            (None, Some(Unpacking::start(load.vault, part, load.identities).await.map_err(load::unread)?))
        }
    };
    let psql = load.tools.sibling("psql").map_err(Broken::Unable)?;
    let mut into = load.access.command(&psql);
    into.args(["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"]).stdin(Stdio::piped());
    let mut from = Running::start(work, from).await?;
    let mut into = Running::start(work, into).await?;
    let (feed, script) = (from.child.stdin.take(), from.child.stdout.take());
    let (Some(script), Some(mut sql)) = (script, into.child.stdin.take()) else {
        return Err(Broken::Restore(Failure::later("no pipe")));
    };
    // What its selects give; but a full pipe would stop it.
    let drain = into.child.stdout.take().map(|mut out| {
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = tokio::io::copy(&mut out, &mut tokio::io::sink()).await;
        }))
    });
    let pouring = async {
        let feeding = async {
            if let (Some(mut feed), Some(unpacking)) = (feed, &mut unpacking) {
                while let Some(bytes) = unpacking.next().await {
                    seen(unpacking.stored());
                    if feed.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
            }
            // What it is fed for decides when this ends.
            std::future::pending::<std::io::Result<bool>>().await
        };
        // Should psql end before the script does, nobody waits for the rest of it.
        let passed = tokio::select! {
            passed = pass(script, &mut sql, around) => passed,
            _ = into.child.wait() => Ok(false),
            passed = feeding => passed,
        };
        // A damaged object is the first cause of whatever else went wrong.
        if let Some(unpacking) = unpacking {
            match (unpacking.finish().await, passed) {
                (Err(bad), _) => return Err(bad.into()),
                (Ok(_), passed) => told(passed, &mut from, &mut into).await?,
            }
        } else {
            told(passed, &mut from, &mut into).await?;
        }
        (work.tell)(total, Some(total), "bytes", Some("checking foreign keys, refreshing views"));
        // Should it break here, psql's own end tells why.
        let _ = sql.write_all(around.after().as_bytes()).await;
        drop(sql);
        into.end("psql").await
    };
    let poured = tokio::select! {
        poured = pouring => poured,
        () = work.stop.cancelled() => Err(Broken::Stopped),
    };
    // Dropping the two kills whatever still runs, and the server rolls back.
    drop((list, folder, drain));
    poured
}

/// What comes before, and the script as it is printed. False once `psql` takes no more.
async fn pass(mut script: ChildStdout, sql: &mut ChildStdin, around: &Around) -> std::io::Result<bool> {
    let mut pump = Pump::default();
    if sql.write_all(around.before().as_bytes()).await.is_err() {
        return Ok(false);
    }
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        // What is there goes on at once.
        script.read_buf(&mut chunk).await?;
        let mut passed = Vec::with_capacity(chunk.len());
        let done = chunk.is_empty();
        if done {
            std::mem::take(&mut pump).end(&mut passed);
        } else {
            pump.pass(&chunk, &mut passed);
        }
        if sql.write_all(&passed).await.is_err() {
            return Ok(false);
        }
        if done {
            return Ok(true);
        }
    }
}

/// Whether the whole script has gone through and `pg_restore` has ended well.
async fn told(passed: std::io::Result<bool>, from: &mut Running, into: &mut Running) -> Result<(), Broken> {
    match passed {
        Ok(true) => from.end("pg_restore").await,
        // It has ended before the script has: because of an error, which it names.
        Ok(false) => match into.end("psql").await {
            Err(broken) => Err(broken),
            Ok(()) => Err(Broken::Restore(Failure::later("psql ended before the last row"))),
        },
        Err(error) => {
            let _ = into.child.end(GRACE).await;
            Err(Broken::Restore(Failure::later(format!("pg_restore's output could not be read: {error}"))))
        }
    }
}
