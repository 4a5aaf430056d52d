//! What the demo prints: what happens as it happens, then what was found true, then what to try.

use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
};

use chrono::Local;

use super::{claims::Claim, site::Site};

/// Prints to standard output, in colour only for eyes.
pub(super) struct Say {
    colour: bool,
}

impl Say {
    pub(super) fn new() -> Self {
        Self { colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    fn print(&self, text: &str) {
        // Whoever closed our output does not want to be told.
        let _ = writeln!(io::stdout(), "{text}");
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn title(&mut self, text: &str) {
        self.print(&format!("\n{}", self.paint("1", text)));
    }

    pub(super) fn line(&mut self, text: &str) {
        self.print(&format!("  {text}"));
    }

    /// Something that just happened.
    pub(super) fn event(&mut self, word: &str, text: &str) {
        let word = match word {
            "done" => self.paint("32", &format!("{word:9}")),
            "failed" => self.paint("31", &format!("{word:9}")),
            _ => format!("{word:9}"),
        };
        self.print(&format!("  {} {word} {text}", Local::now().format("%H:%M:%S")));
    }

    /// Every claim with what was found; whether all of them hold.
    pub(super) fn summary(&mut self, claims: &[Claim]) -> bool {
        self.title("What was found true, in the databases, the vault and the inbox");
        for claim in claims {
            let (sign, text) = match &claim.found {
                Ok(found) => (self.paint("32", "ok "), found),
                Err(found) => (self.paint("31", "NOT"), found),
            };
            self.print(&format!("  {sign} {}: {text}", claim.what));
        }
        let broken = claims.iter().filter(|claim| claim.found.is_err()).count();
        let total = claims.len();
        if broken == 0 {
            self.line(&format!("all {total} claims hold"));
        } else {
            self.line(&format!("{broken} of {total} claims do not hold"));
        }
        broken == 0
    }

    /// Where everything is that the summary speaks of, for eyes and tools of other people.
    pub(super) fn look(&mut self, site: &Site, url: &str) {
        self.title("Look for yourself");
        self.line(&format!("the vault:    {}", site.vault.display()));
        self.line(&format!("the messages: {}", site.messages.display()));
        self.line(&format!("the database: psql '{url}' (while the demo runs)"));
    }

    /// What to try while the daemon goes on.
    pub(super) fn next(&mut self, site: &Site, address: Option<SocketAddr>) {
        self.title("It goes on serving, with schedules a few seconds apart. In another terminal:");
        let config = site.settings.display();
        let sexton = ourselves();
        for command in ["runs list", "trigger backup-collector --wait", "once count-exceptions", "next", "check"] {
            self.line(&format!("{sexton} {command} --config {config}"));
        }
        if let Some(address) = address {
            let token = site.token.display();
            self.line(&format!("curl -H \"Authorization: Bearer $(cat {token})\" http://{address}/api/v1/runs"));
            self.line(&format!("curl http://{address}/metrics"));
        }
        self.line(&format!(
            "edit {}/schedules/demo.toml, then: kill -HUP {}",
            site.folder.display(),
            std::process::id()
        ));
        self.line("end it with Ctrl-C");
    }
}

/// How to call this very program from here: `sexton` need not be installed to be tried.
fn ourselves() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match std::env::current_exe() {
        Ok(program) => match program.strip_prefix(&here) {
            Ok(inside) => format!("./{}", inside.display()),
            Err(_) => program.display().to_string(),
        },
        Err(_) => "sexton".to_owned(),
    }
}
