//! A backup into a database that is new, or empty.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{
    database::{self, Made},
    place::Place,
    plan::Plan,
    preview::{Mode, Restored},
    server, settings, swap,
    verify::{How, Verified, verify},
};
use crate::{
    backups::{
        fingerprint::Leave,
        load::{self, Broken, Load},
        program::Access,
        work::{Ended, Work},
    },
    db::failure,
    outcome::Failure,
};

/// Does it.
pub(super) async fn restore(work: &Work<'_>, plan: &Plan<'_>) -> Result<Restored, Ended> {
    let begun = Instant::now();
    let place = &plan.place;
    let not: Vec<&str> = std::iter::once(place.filled()).chain(place.replaces()).collect();
    let (there, mut admin) = server::admin(&plan.request.login, &not).await?;
    let mut notes = plan.notes_of_making(&mut admin).await?;
    let left = database::sweep(&mut admin).await?;
    notes.extend(left.iter().map(|name| format!("dropped {name}, which a killed restore had left unfinished")));
    work.go_on()?;
    let stem = plan.manifest.stem();
    let made = match place.is_made() {
        true => Some(Made::create(&there, place.filled(), &plan.manifest, &stem).await?),
        false => None,
    };
    let filled = fill(work, plan, &mut admin, &mut notes).await;
    let verified = match (filled, made) {
        (Ok(verified), made) => {
            if let Some(made) = made {
                let is = if verified.differences.is_empty() { "" } else { ", but is not what was dumped" };
                let now = chrono::Utc::now().format("%F %T UTC");
                made.finish(&mut admin, &format!("sexton: restored from {stem} at {now}{is}")).await?;
            }
            verified
        }
        (Err(Broken::Stopped), made) => {
            if let Some(made) = made {
                made.give_up(Failure::never("it was told to stop")).await;
            }
            return Err(Ended::Stopped);
        }
        (Err(broken), made) => {
            return Err(match (Ended::from(broken), made) {
                (Ended::Failed(failed), Some(made)) => Ended::Failed(made.give_up(failed).await),
                (ended, _) => ended,
            });
        }
    };
    let (mut name, mut replaced) = (place.filled().to_owned(), None);
    if let Place::Beside { made, instead_of } = place
        && verified.differences.is_empty()
    {
        drop(admin);
        let (old, told) = swap::swap(&plan.request.login, made, instead_of, plan.request.keep_old, &stem).await?;
        notes.extend(told);
        (name, replaced) = (instead_of.clone(), Some(old));
    }
    let Verified { checked, differences, tables, rows } = verified;
    let seconds = (begun.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    Ok(Restored {
        backup: stem.to_string(),
        database: name,
        checked,
        differences,
        tables,
        rows,
        seconds,
        replaced,
        notes,
    })
}

async fn fill(
    work: &Work<'_>,
    plan: &Plan<'_>,
    admin: &mut PgConnection,
    notes: &mut Vec<String>,
) -> Result<Verified, Broken> {
    let request = &plan.request;
    let login = request.login.database(plan.place.filled());
    let access = Access::new(&login).map_err(Broken::Unable)?;
    // A tablespace is a folder of the server that was.
    let mut flags = vec!["--no-tablespaces".to_owned()];
    if request.mode == Mode::SchemaOnly {
        flags.push("--schema-only".to_owned());
    }
    if !request.owners {
        flags.extend(["--no-owner", "--no-privileges"].map(str::to_owned));
    }
    // What is not ours to drop must stay empty if it goes wrong.
    let alone = !plan.place.is_made();
    if alone {
        flags.push("--single-transaction".to_owned());
    }
    let order = Load {
        vault: request.vault,
        manifest: &plan.manifest,
        identities: &request.identities,
        access: &access,
        tools: &plan.tools,
        flags: &flags,
        entries: plan.entries.as_deref(),
        jobs: if alone { 1 } else { request.jobs },
        scratch: &request.scratch,
    };
    load::load(work, &order).await?;
    notes.extend(settings::apply(admin, plan.place.filled(), &plan.manifest.source.settings, request.owners).await);
    let only: Option<Vec<String>> = plan.chosen.as_ref().map(|chosen| chosen.iter().cloned().collect());
    let leave = Leave {
        owners: !request.owners,
        rest: only.is_some(),
        rows: request.mode == Mode::SchemaOnly,
        ..Leave::default()
    };
    let how = How {
        only: only.as_deref(),
        leave,
        sequences: None,
        connections: request.jobs.max(2),
        major: plan.server.major(),
    };
    let verified = verify(work, &login, &plan.manifest, how).await?;
    if request.mode != Mode::SchemaOnly {
        analyze(work, &login).await?;
    }
    Ok(verified)
}

/// Without statistics the first queries are planned badly.
async fn analyze(work: &Work<'_>, login: &crate::db::Login) -> Result<(), Broken> {
    (work.tell)(0, None, "tables", Some("gathering statistics"));
    let analyzing = async {
        let mut connection = server::within(login).await?;
        connection.execute("analyze").await?;
        connection.close().await
    };
    tokio::select! {
        analyzed = analyzing => analyzed.map_err(|error| Broken::Restore(failure(&error))),
        () = work.stop.cancelled() => Err(Broken::Stopped),
    }
}

/// Makes roles; what is refused beside making them is told.
pub(super) async fn make_roles(admin: &mut PgConnection, statements: &[String]) -> Result<Vec<String>, Failure> {
    let mut refused = Vec::new();
    for statement in statements {
        let Err(error) = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *admin).await else { continue };
        // What it says may hold a password's verifier, so the statement itself is not told.
        let words: Vec<_> = statement.split_whitespace().take(3).collect();
        let why = error.as_database_error().map_or(error.to_string(), |error| error.message().to_owned());
        let told = format!("{} …: {why}", words.join(" "));
        if statement.starts_with("CREATE") {
            return Err(Failure::never(told).help("make the role by hand, or restore with --no-owner"));
        }
        refused.push(told);
    }
    Ok(refused)
}
