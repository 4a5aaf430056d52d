//! `[exec]`: a program of somebody else's, started without a shell.
//!
//! Parameters and what the run is told arrive as environment variables, never as arguments; the daemon's own
//! environment (and any secret in it) does not. A line `sexton: name=number` on standard output is an entry of the report.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{Broken, Ctx, Finding, Kind, ParamsAre, Uses};
use crate::{
    child::Child,
    outcome::{Failure, Outcome, Report},
    state::OnLost,
};

/// A program.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments; a program without `/` is looked for in `PATH`.
    pub argv: Vec<String>,
    /// Environment variables beyond `PATH`, `HOME`, `LANG`, `TZ` and Sexton's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The folder that it runs in; the daemon's own without it.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// The exit codes that mean success.
    #[serde(default = "zero")]
    pub success: Vec<i32>,
}

fn zero() -> Vec<i32> {
    vec![0]
}

/// What a program inherits of the daemon's environment.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// How much of its output a failure shows.
const TAIL: usize = 4096;
/// The longest line that is looked at for a number.
const NUMBER: usize = 1024;
/// How much of a line is kept for the run's log.
const LINE: usize = 4096;
/// How long it has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// How long output is read after its end: something that it started may hold the pipe for ever.
const DRAIN: Duration = Duration::from_secs(2);

impl Kind for Exec {
    const NAME: &'static str = "exec";
    const ABOUT: &'static str = "starts a program";
    const ON_LOST: OnLost = OnLost::Hold;
    const PARAMS: ParamsAre = ParamsAre::Values;
    const CHILDREN: bool = true;

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn check(&self) -> Vec<Finding> {
        let finding = |key: &str, message: &str, help: &str| Finding {
            key: key.to_owned(),
            message: message.to_owned(),
            help: Some(help.to_owned()),
            warning: false,
        };
        let mut findings = Vec::new();
        if self.argv.first().is_none_or(String::is_empty) {
            findings.push(finding("argv", "names no program", "write argv = [\"/usr/bin/true\"]"));
        }
        if self.success.is_empty() {
            findings.push(finding("success", "makes every end a failure", "write success = [0]"));
        }
        if self.env.keys().any(|name| name.is_empty() || name.contains(['=', '\0']) || name.starts_with("SEXTON_")) {
            let help = "SEXTON_… is Sexton's own; names have no `=`";
            findings.push(finding("env", "has a name that cannot be set", help));
        }
        findings
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let (program, arguments) =
            self.argv.split_first().ok_or_else(|| Failure::never("the job's `argv` names no program"))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(environment(&ctx)).envs(&self.env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let mut child = ctx.env.spawner.spawn(command).await.map_err(|error| self.not_started(program, &error))?;
        let heard = Heard::default();
        let ended = tokio::select! {
            ended = to_the_end(&mut child, &heard) => ended,
            () = ctx.stop.cancelled() => {
                let _ = child.end(GRACE).await;
                return Err(Broken::Stopped);
            }
        };
        let status = ended.map_err(|error| Failure::later(format!("`{program}` cannot be waited for: {error}")))?;
        let (mut report, tail) = heard.into_parts();
        if let Some(code) = status.code() {
            report.set("exit_code", code);
        }
        if status.code().is_some_and(|code| self.success.contains(&code)) {
            return Ok(Outcome::Done(report));
        }
        let tail = tail.trim();
        let last =
            if tail.is_empty() { "; it printed nothing".to_owned() } else { format!("; its last words:\n{tail}") };
        Err(Failure::later(format!("`{program}` ended with {status}{last}")).report(report).into())
    }
}

impl Exec {
    fn not_started(&self, program: &str, error: &io::Error) -> Failure {
        let place = self.dir.as_ref().map(|dir| format!(" in {}", dir.display())).unwrap_or_default();
        let why = format!("`{program}` could not be started{place}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound if self.dir.as_ref().is_some_and(|dir| !dir.is_dir()) => {
                Failure::never(why).help("create the folder, or correct the job's `dir`")
            }
            io::ErrorKind::NotFound => {
                Failure::never(why).help("install it where this daemon runs, or write its whole path in `argv`")
            }
            io::ErrorKind::PermissionDenied => Failure::never(why).help("make it executable for the daemon's user"),
            _ => Failure::later(why),
        }
    }
}

/// Reads what the child prints and waits for it.
async fn to_the_end(child: &mut Child, heard: &Heard) -> io::Result<ExitStatus> {
    // In the span of the attempt, whose log this is.
    let out = child.stdout.take().map(|pipe| listen(pipe, heard.clone(), true).in_current_span());
    let out = out.map(|listening| AbortOnDropHandle::new(tokio::spawn(listening)));
    let err = child.stderr.take().map(|pipe| listen(pipe, heard.clone(), false).in_current_span());
    let err = err.map(|listening| AbortOnDropHandle::new(tokio::spawn(listening)));
    let status = child.wait().await?;
    let rest = async {
        for reader in [out, err].into_iter().flatten() {
            let _ = reader.await;
        }
    };
    let _ = timeout(DRAIN, rest).await;
    Ok(status)
}

/// What the program may know.
fn environment(ctx: &Ctx) -> BTreeMap<String, String> {
    let inherited = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let mut env: BTreeMap<String, String> = inherited.collect();
    let told = ctx.run.told().map(|(name, value)| (name.to_uppercase(), value));
    let params = ctx
        .params
        .iter()
        .map(|(name, value)| (format!("PARAM_{}", name.to_uppercase().replace('-', "_")), value.clone()));
    for (name, value) in told.into_iter().chain(params) {
        let value = match value {
            Value::String(text) => text,
            Value::Null => continue,
            other => other.to_string(),
        };
        // An environment cannot hold a NUL, and exec would refuse the whole of it.
        env.insert(format!("SEXTON_{name}"), value.replace('\0', ""));
    }
    env
}

/// What the program has printed, shared by the readers of its two pipes.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<(Report, VecDeque<u8>)>>);

impl Heard {
    fn bytes(&self, bytes: &[u8]) {
        let (_, tail) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(bytes);
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
    }

    fn line(&self, line: &[u8], out: bool) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        match out {
            _ if text.is_empty() => {}
            true => tracing::info!(target: "sexton::child::output::stdout", "{text}"),
            false => tracing::info!(target: "sexton::child::output::stderr", "{text}"),
        }
        let line = std::str::from_utf8(line).ok().filter(|line| out && line.len() <= NUMBER);
        if let Some((name, number)) = line.and_then(entry) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).0.set(name, number);
        }
    }

    fn into_parts(self) -> (Report, String) {
        let (report, tail) = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // A text in Postgres cannot hold a NUL.
        let tail = String::from_utf8_lossy(&Vec::from(tail)).replace('\0', "");
        (report, tail)
    }
}

/// Reads a pipe to its end; constant memory, however long a line is.
async fn listen(mut pipe: impl AsyncRead + Unpin, heard: Heard, out: bool) {
    let (mut buffer, mut line) = ([0; 8192], Vec::new());
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        heard.bytes(&buffer[..count]);
        for byte in &buffer[..count] {
            match byte {
                b'\n' => {
                    heard.line(&line, out);
                    line.clear();
                }
                _ if line.len() < LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    heard.line(&line, out);
}

/// An entry of the report in a line of output: `sexton: rows_loaded=12`.
fn entry(line: &str) -> Option<(&str, Value)> {
    let (name, number) = line.trim().strip_prefix("sexton:")?.split_once('=')?;
    let (name, number) = (name.trim(), number.trim());
    let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let value = match number.parse::<i64>() {
        Ok(whole) => Value::from(whole),
        Err(_) => Value::Number(serde_json::Number::from_f64(number.parse().ok()?)?),
    };
    named.then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_of_the_right_shape_is_an_entry() {
        assert_eq!(entry("sexton: rows=12"), Some(("rows", Value::from(12))));
        assert_eq!(entry("  sexton:share = 0.5 \r"), Some(("share", Value::from(0.5))));
        for line in ["rows=12", "sexton: rows", "sexton: =1", "sexton: rows=many", "sexton: a b=1", "sexton: n=nan"] {
            assert_eq!(entry(line), None, "{line}");
        }
    }

    #[test]
    fn the_tail_keeps_the_end() {
        let heard = Heard::default();
        heard.bytes(&[b'a'; TAIL]);
        heard.bytes(b"the end");
        let (_, tail) = heard.into_parts();
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with("athe end"));
    }
}
