//! Roles and other globals of a server: `pg_dumpall --globals-only`, packed like a dump.

use std::time::Duration;

use tokio::{io::AsyncReadExt, time::timeout};

use super::{
    dump::GRACE,
    pipe::{CHUNK, Packer, Sent},
    program::{Access, Said, named},
    tools::Tools,
    work::{Ended, Work},
};
use crate::{child::Child, outcome::Failure};

/// It reads a few catalogs.
const LIMIT: Duration = Duration::from_secs(300);
/// How it ends when it is whole.
const END: &[u8] = b"PostgreSQL database cluster dump complete";

/// Dumps them into `packer`; whole, or given up. `passwords` also takes the roles' password verifiers, which only a
/// superuser may read.
pub(super) async fn globals(
    work: &Work<'_>,
    access: &Access,
    tools: &Tools,
    passwords: bool,
    mut packer: Packer,
) -> Result<Sent, Ended> {
    let dumped = tokio::select! {
        dumped = timeout(LIMIT, run(work, access, tools, passwords, &mut packer)) => match dumped {
            Ok(dumped) => dumped.map_err(Ended::Failed),
            Err(_) => {
                let why = format!("pg_dumpall --globals-only did not end within {} s", LIMIT.as_secs());
                Err(Failure::later(why).into())
            }
        },
        () = work.stop.cancelled() => Err(Ended::Stopped),
    };
    match dumped {
        Ok(()) => Ok(packer.finish().await?),
        Err(ended) => {
            packer.give_up().await;
            Err(ended)
        }
    }
}

async fn run(
    work: &Work<'_>,
    access: &Access,
    tools: &Tools,
    passwords: bool,
    packer: &mut Packer,
) -> Result<(), Failure> {
    let program = tools.sibling("pg_dumpall")?;
    let mut command = access.command(&program);
    command.args(["--globals-only", "--no-password"]).args((!passwords).then_some("--no-role-passwords"));
    let mut child: Child = work
        .spawner
        .spawn(command)
        .await
        .map_err(|error| Failure::later(format!("{} could not be started: {error}", program.display())))?;
    let said = Said::default();
    let listener = said.listen(child.stderr.take());
    let mut from = child.stdout.take().ok_or_else(|| Failure::later("pg_dumpall has no output"))?;
    let mut tail = Vec::new();
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut from).take(CHUNK as u64).read_to_end(&mut chunk).await;
        read.map_err(|error| Failure::later(format!("pg_dumpall's output could not be read: {error}")))?;
        if chunk.is_empty() {
            break;
        }
        tail.extend_from_slice(&chunk);
        tail.drain(..tail.len().saturating_sub(1024));
        if !packer.write(chunk).await {
            break;
        }
    }
    let status = match child.wait().await {
        Ok(status) => status,
        Err(error) => {
            let _ = child.end(GRACE).await;
            return Err(Failure::later(format!("pg_dumpall cannot be waited for: {error}")));
        }
    };
    if let Some(listener) = listener {
        let _ = timeout(Duration::from_secs(2), listener).await;
    }
    if !status.success() {
        let why = format!("pg_dumpall --globals-only ended with {status}: {}", said.words());
        let failure = named(Failure::later(why));
        return Err(match failure.help {
            Some(_) => failure,
            None => failure.help("let the target's user read pg_roles, or leave the globals out: globals = false"),
        });
    }
    if !tail.windows(END.len()).any(|window| window == END) {
        return Err(Failure::later("pg_dumpall --globals-only ended as if all were well, but wrote no whole dump"));
    }
    Ok(())
}
