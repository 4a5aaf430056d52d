//! SQL text that only `psql` reads, as `pg_dumpall` writes it.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    program::{Access, Said, named},
    tools::Tools,
    work::Work,
};
use crate::outcome::Failure;

/// How long the last words may take after the end.
const QUIET: Duration = Duration::from_secs(30);

/// Runs SQL text with `psql`; errors in single statements are passed over if `lenient`.
pub(super) async fn psql(
    work: &Work<'_>,
    access: &Access,
    tools: &Tools,
    sql: String,
    lenient: bool,
) -> Result<String, Failure> {
    let program = tools.sibling("psql")?;
    let mut command = access.command(&program);
    command
        .args(["--no-psqlrc", "--quiet", "--no-password"])
        .arg(format!("--set=ON_ERROR_STOP={}", if lenient { 0 } else { 1 }))
        .args(["--file=-"])
        .stdin(Stdio::piped());
    let mut child = (work.spawner.spawn(command).await)
        .map_err(|error| Failure::later(format!("{} could not be started: {error}", program.display())))?;
    let said = Said::default();
    let listener = said.listen(child.stderr.take());
    let stdin = child.stdin.take();
    let feeding = async {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(sql.as_bytes()).await;
        }
    };
    let mut out = child.stdout.take();
    let mut sink = Vec::new();
    let draining = async {
        if let Some(out) = &mut out {
            let _ = out.read_to_end(&mut sink).await;
        }
    };
    let ((), ()) = tokio::join!(feeding, draining);
    let status = timeout(Duration::from_secs(600), child.wait())
        .await
        .map_err(|_| Failure::later("psql did not end"))?
        .map_err(|error| Failure::later(format!("psql cannot be waited for: {error}")))?;
    if let Some(listener) = listener {
        let _ = timeout(QUIET, listener).await;
    }
    if !status.success() {
        return Err(named(Failure::never(format!("psql ended with {status}: {}", said.words()))));
    }
    Ok(said.words())
}
