//! What `run`, `once` and `demo` do: the parts of one process, wired together.

mod backups;
mod clock;
mod demo;
pub mod files;
pub mod forget;
pub mod inbox;
mod instance;
mod logging;
mod measure;
mod once;
mod ready;
mod serve;
mod signals;
mod wire;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    cli::{self, AskError, Cli, Command, exit},
    settings::{Log, LogFormat},
};

/// The whole program: parses the command line, does it, and gives the exit code.
pub fn main() -> ExitCode {
    // Every TLS client of this process uses ring; whoever comes second finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: the runtime cannot start: {error}");
            return ExitCode::from(exit::ERROR);
        }
    };
    let code = runtime.block_on(answer(&cli));
    // Whatever still runs here (a notification on its way, say) is not worth waiting for.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn answer(cli: &Cli) -> u8 {
    let mut out = io::stdout();
    let answered = match &cli.command {
        Command::Run => serve::run(cli).await,
        Command::Ready(args) => ready::run(cli, args, &mut out).await,
        Command::Apply(args) => files::apply::run(cli, args, &mut out).await,
        Command::Once(args) => once::run(cli, args, &mut out).await,
        Command::Demo(args) => {
            // What the tour prints is the story; the log is for what goes wrong.
            logging::start(&Log { format: LogFormat::Text, level: "warn".to_owned() });
            demo::run(args).await
        }
        _ => {
            logging::start(&Log { format: LogFormat::Text, level: "warn".to_owned() });
            cli::ask(cli, &mut out).await
        }
    };
    let _ = out.flush();
    match answered {
        Ok(code) => code,
        // Whoever reads our output has seen enough.
        Err(AskError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => exit::DONE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            exit::ERROR
        }
    }
}
