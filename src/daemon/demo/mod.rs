//! `sexton demo`: everything for real, on a private PostgreSQL, without configuration.
//!
//! ```text
//! private cluster ─ sample data ─ files on disk ─ the same daemon as `sexton run` ─ a tour of one-shot schedules
//!                                                          │
//!                            local inbox (mail, webhooks) ◀┘      then: schedules a few seconds apart
//! ```
//!
//! Nothing of the tour is played: it writes schedule files, reloads them, waits for the runs that the planner makes, and
//! then holds every claim of its summary against the databases, the vault and the inbox.

mod claims;
mod say;
mod site;
mod tour;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{inbox::Inbox, serve::Daemon, signals};
use crate::{
    child::Spawner,
    cli::{AskError, DemoArgs, exit},
    dataset::{install, sample},
    embedded::{self, Cluster, Options},
    settings::Settings,
};
use say::Say;
use site::Site;

/// The exceptions that the sample has.
const SAMPLE_ROWS: u32 = 3_000;
/// The queue's database and the one that is looked after.
const QUEUE: &str = "sexton";
const COLLECTOR: &str = "exception_collector";

/// Runs the demo.
pub(super) async fn run(args: &DemoArgs) -> Result<u8, AskError> {
    let stop = CancellationToken::new();
    signals::stop_at_signals(&stop)?;
    let mut say = Say::new();
    say.title("sexton demo");
    let state = args.state_dir.clone().unwrap_or_else(|| embedded::default_state_dir().join("demo"));
    let state = std::path::absolute(state)?;
    let spawner = Spawner::start()?;
    let cluster = Cluster::start(&state, &Options::default(), &spawner).await.map_err(|e| said(&e))?;
    say.line(&format!(
        "PostgreSQL from {}, a private cluster in {}",
        cluster.binaries().dir.display(),
        state.display()
    ));
    say.line("it is for evaluation and one node; in production `sexton run` is given a database URL");

    let inbox = Inbox::start().await?;
    let site = Site::write(&state, &cluster, &inbox, args.port)?;
    prepare(&cluster, &site).await?;
    say.line(&format!("database `{COLLECTOR}` with {SAMPLE_ROWS} exceptions, their retries, items and history"));
    say.line(&format!("jobs and schedules in {}", site.folder.display()));

    let settings = Settings::load(Some(&site.settings))?;
    let daemon = Daemon::start(settings).await?;
    let parts = daemon.parts.clone();
    let poke = Arc::clone(&daemon.poke);
    let address = daemon.address();
    let serving = tokio::spawn(daemon.serve(stop.clone()));

    let url = cluster.url(COLLECTOR);
    let tour = tour::Tour { parts, poke, site: &site, inbox: &inbox, url, stop: stop.clone() };
    let toured = tour.run(&mut say).await;
    let ended = finish(args, toured, &tour, address, &mut say, &stop).await;
    stop.cancel();
    serving.await.map_err(|error| said(&error))??;
    cluster.stop().await.map_err(|error| said(&error))?;
    ended
}

/// Prints the summary and, unless the tour is all that was asked for, goes on serving until `stop`.
async fn finish(
    args: &DemoArgs,
    toured: Result<Vec<claims::Claim>, AskError>,
    tour: &tour::Tour<'_>,
    address: Option<std::net::SocketAddr>,
    say: &mut Say,
    stop: &CancellationToken,
) -> Result<u8, AskError> {
    let claims = toured?;
    let held = say.summary(&claims);
    tour.site.keep_messages(tour.inbox)?;
    say.look(tour.site, &tour.url);
    let code = if held { exit::DONE } else { exit::ERROR };
    if args.once {
        return Ok(code);
    }
    tour.serve_on().await?;
    say.next(tour.site, address);
    let mut seen = tour.inbox.mails().len();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        let mails = tour.inbox.mails();
        for mail in &mails[seen.min(mails.len())..] {
            say.event("mail", &mail.subject);
        }
        seen = mails.len();
    }
    Ok(code)
}

/// Fresh databases: the tour's claims are about rows that it knows.
async fn prepare(cluster: &Cluster, site: &Site) -> Result<(), AskError> {
    for name in [QUEUE, COLLECTOR] {
        site.drop_database(cluster, name).await?;
        cluster.create_database(name).await.map_err(|error| said(&error))?;
    }
    let target = site.collector(cluster)?;
    sample::load(&target, SAMPLE_ROWS).await?;
    install(&target, false, &Default::default()).await.map_err(|error| said(&error))?;
    target.close().await;
    Ok(())
}

fn said(error: &dyn std::fmt::Display) -> AskError {
    AskError::Said(error.to_string())
}
