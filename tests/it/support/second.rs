//! A second S3, written by other people in another language: moto, a Python program.
//!
//! It knows what the first one does not: versions, object lock, listing unfinished uploads, encryption. Python and pip are
//! needed once, to install it below `target`; `.ci/run` installs them. A machine without them, or without the registry in
//! reach, skips these tests, and says so; any other failure fails them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
};
use aws_smithy_http_client::{Builder as HttpClient, tls};
use sexton::{
    secret::Secret,
    vault::{Limits, Options, S3Options, Vault},
};

const PACKAGE: &str = "moto[server,s3]==5.2.5";
const FOLDER: &str = "moto-5.2.5";

/// Ends with the process that holds its standard input, however that ends. One of its answers has a wrong root, which no
/// client of S3 understands; it is put right on its way.
const PROGRAM: &str = "
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
from moto import server
call = server.DomainDispatcherApplication.__call__
def corrected(self, environ, start):
    for piece in call(self, environ, start):
        piece = piece.replace(b'<ListPartsResponse ', b'<ListPartsResult   ')
        yield piece.replace(b'</ListPartsResponse>', b'</ListPartsResult  >')
server.DomainDispatcherApplication.__call__ = corrected
server.main(['-H', '127.0.0.1', '-p', '0'])
";

/// The running server.
pub struct Second {
    url: String,
    _child: Child,
}

/// The one server of this process; `None`, loudly, on a machine that cannot have it.
pub async fn second() -> Option<&'static Second> {
    static SECOND: OnceLock<Option<Second>> = OnceLock::new();
    super::tls();
    tokio::task::spawn_blocking(|| SECOND.get_or_init(start).as_ref()).await.expect("a thread")
}

impl Second {
    /// A bucket of its own for a test: it keeps versions and has object lock, or it does neither.
    pub async fn bucket(&self, name: &str, lock: bool) {
        let made = self.client().create_bucket().bucket(name).object_lock_enabled_for_bucket(lock);
        made.send().await.expect("a bucket");
    }

    /// How to use a bucket.
    pub fn options(&self, bucket: &str) -> S3Options {
        S3Options {
            bucket: bucket.to_owned(),
            region: Some("us-east-1".to_owned()),
            endpoint: Some(self.url.clone()),
            path_style: true,
            credentials: Some((Secret::new("AKTEST"), Secret::new("secret"))),
            ..S3Options::default()
        }
    }

    /// A vault on a bucket.
    pub fn vault(&self, bucket: &str) -> Vault {
        let limits = Limits { part: 5 << 20, ..Limits::default() };
        Vault::new("second", Options::S3(self.options(bucket))).with_limits(limits)
    }

    /// A client of the test's own, to look behind the vault's back.
    pub fn client(&self) -> Client {
        let http = HttpClient::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http.build_https())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .force_path_style(true)
            .credentials_provider(Credentials::new("AKTEST", "secret", None, None, "test"));
        Client::from_conf(config.build())
    }
}

fn start() -> Option<Second> {
    let python = installed()?;
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the second S3");
    let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    let mut log = String::new();
    for line in &mut lines {
        let line = line.expect("its log");
        if let Some((_, url)) = line.split_once("Running on ") {
            let url = url.trim().to_owned();
            // Its log goes on, and must go somewhere.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(Second { url, _child: child });
        }
        log.push_str(&line);
        log.push('\n');
    }
    let _ = child.wait();
    panic!("the second S3 did not start:\n{log}");
}

/// The Python that has it; installs it when that was not done yet, once for all processes.
fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(FOLDER);
    let (python, ready) = (folder.join("bin/python"), folder.join("ready"));
    let gate = File::create(folder.with_file_name(format!("{FOLDER}.gate"))).expect("a gate file");
    gate.lock().expect("the gate");
    if ready.exists() {
        return Some(python);
    }
    let able = Command::new("python3").args(["-c", "import ensurepip, venv"]).stderr(Stdio::null()).status();
    if !able.is_ok_and(|status| status.success()) {
        skipped("they need python3 with venv and pip (Debian: apt install python3-venv)");
        return None;
    }
    let _ = fs::remove_dir_all(&folder);
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
    let output = Command::new(&python).args(pip).output().expect("pip");
    if !output.status.success() {
        // No registry in reach, say.
        skipped(&format!("{PACKAGE} could not be installed: {}", String::from_utf8_lossy(&output.stderr).trim()));
        return None;
    }
    fs::write(ready, PACKAGE).expect("a mark");
    Some(python)
}

/// Past the capture of the test runner: nobody may believe that these were run.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: the tests with a second S3 did not run: {why}");
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
