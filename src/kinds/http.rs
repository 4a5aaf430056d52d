//! `[http]`: one request to somebody else's service.
//!
//! The URL is the job's; parameters go into a JSON body where it says `:name`. A redirect to another host is not
//! followed: it would carry the secrets in the headers there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::{Method, Response, StatusCode, Url, header, redirect::Policy};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Broken, Ctx, Finding, Kind, ParamsAre, Uses};
use crate::{
    causes::with_causes,
    outcome::{Failure, Outcome, Report},
    secret::Secret,
    span::Span,
    state::OnLost,
};

/// A request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// `GET`, `POST`, …
    #[serde(default = "get")]
    pub method: String,
    /// Where to; `http` or `https`.
    pub url: String,
    /// Headers; a secret one is `{ file = "/run/credentials/token", prefix = "Bearer " }`.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
    /// A text, or a table that is sent as JSON; in a table, the text `":name"` becomes that parameter, or what the run is
    /// told by that name.
    #[serde(default)]
    pub body: Option<Value>,
    /// The status codes that mean success; every 2xx without it.
    #[serde(default)]
    pub expect_status: Option<Statuses>,
    /// How long the whole exchange may take.
    #[serde(default = "half_a_minute")]
    pub timeout: Span,
}

fn get() -> String {
    "GET".to_owned()
}

fn half_a_minute() -> Span {
    Span::seconds(30)
}

/// The value of a header.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HeaderValue {
    /// Written in the job's file.
    Plain(String),
    /// Read from a file when the request is made.
    File {
        /// The file; a relative one is looked for in `$CREDENTIALS_DIRECTORY`.
        file: PathBuf,
        /// What comes before it.
        #[serde(default)]
        prefix: String,
    },
}

/// One status code or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Statuses {
    /// One.
    One(u16),
    /// Any of these.
    Any(Vec<u16>),
}

impl Statuses {
    fn has(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Any(any) => any.contains(&status),
        }
    }
}

/// Redirects on the same host that are followed.
const HOPS: usize = 5;
/// How much of an answer a failure shows, in bytes.
const SHOWN: usize = 2048;

impl Kind for Http {
    const NAME: &'static str = "http";
    const ABOUT: &'static str = "makes an HTTP request";
    const ON_LOST: OnLost = OnLost::Hold;
    const PARAMS: ParamsAre = ParamsAre::Values;

    fn uses(&self) -> Uses {
        Uses::default()
    }

    fn check(&self) -> Vec<Finding> {
        let finding = |key: &str, message: String, help: &str| Finding {
            key: key.to_owned(),
            message,
            help: Some(help.to_owned()),
            warning: false,
        };
        let mut findings = Vec::new();
        if let Err(failure) = self.url() {
            findings.push(finding("url", failure.why, "write url = \"https://example.org/path\""));
        }
        if Method::from_bytes(self.method.to_uppercase().as_bytes()).is_err() {
            findings.push(finding("method", format!("`{}` is no method", self.method), "write method = \"POST\""));
        }
        for name in self.headers.keys() {
            if header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                let help = "use letters, digits and `-`";
                findings.push(finding("headers", format!("`{name}` is no name of a header"), help));
            }
        }
        findings
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        let url = self.url()?;
        let place = place(&url);
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes())
            .map_err(|_| Failure::never(format!("`{}` is no HTTP method", self.method)))?;
        let mut request = client(self.timeout.0)?.request(method.clone(), url);
        for (name, value) in &self.headers {
            request = request.header(name, secret_header(name, value).await?);
        }
        match &self.body {
            None => {}
            Some(Value::String(text)) => request = request.body(text.clone()),
            Some(json) => request = request.json(&filled(json, &ctx.values())?),
        }
        let begun = Instant::now();
        let exchange = async {
            let mut response = request.send().await?;
            let (bytes, start) = read(&mut response).await?;
            Ok::<_, reqwest::Error>((response, bytes, start))
        };
        let (response, bytes, start) = tokio::select! {
            answer = exchange => answer.map_err(|error| self.no_answer(&format!("{method} {place}"), error))?,
            () = ctx.stop.cancelled() => return Err(Broken::Stopped),
        };
        let status = response.status();
        let report = Report::new()
            .with("status", status.as_u16())
            .with("duration_seconds", (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0)
            .with("bytes", bytes);
        let expected = self.expect_status.as_ref().map_or(status.is_success(), |these| these.has(status.as_u16()));
        if expected {
            return Ok(Outcome::Done(report));
        }
        Err(refused(&format!("{method} {place}"), &response, &start).report(report).into())
    }
}

impl Http {
    fn url(&self) -> Result<Url, Failure> {
        let url = Url::parse(&self.url).map_err(|error| Failure::never(format!("the URL cannot be read: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::never(format!("the URL starts with `{}:`, not with http or https", url.scheme())));
        }
        Ok(url)
    }

    fn no_answer(&self, what: &str, error: reqwest::Error) -> Failure {
        if error.is_timeout() {
            let why = format!("{what}: no whole answer within {}", self.timeout);
            return Failure::later(why).help("find out what the service waits for, or raise `timeout` in [http]");
        }
        let error = error.without_url();
        let why = format!("{what}: {}", with_causes(&error));
        if error.is_connect() {
            return Failure::later(why).help("check that the service runs and that this daemon may reach it");
        }
        if error.is_builder() { Failure::never(why) } else { Failure::later(why) }
    }
}

/// A URL for people: without what may be secret (user, password, query).
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// A client of its own: the shared one has no say on redirects.
fn client(timeout: Duration) -> Result<reqwest::Client, Failure> {
    // Without a process-wide choice reqwest panics; a second choice changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let policy = Policy::custom(|attempt| {
        let first = attempt.previous().first();
        let stays = first.is_some_and(|first| first.origin() == attempt.url().origin());
        if stays && attempt.previous().len() <= HOPS { attempt.follow() } else { attempt.stop() }
    });
    reqwest::Client::builder()
        .user_agent(concat!("sexton/", env!("CARGO_PKG_VERSION")))
        .redirect(policy)
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .build()
        .map_err(|error| Failure::later(format!("no HTTP client could be made: {error}")))
}

/// A header's value, marked so that no log shows it where it comes from a file.
async fn secret_header(name: &str, value: &HeaderValue) -> Result<header::HeaderValue, Failure> {
    let (text, secret) = match value {
        HeaderValue::Plain(text) => (Secret::new(text.clone()), false),
        HeaderValue::File { file, prefix } => {
            let path = credential(file);
            let text = tokio::fs::read_to_string(&path).await.map_err(|error| {
                Failure::never(format!("the header `{name}` comes from {}: {error}", path.display()))
                    .help("create the file, readable for the daemon's user")
            })?;
            (Secret::new(format!("{prefix}{}", text.trim_end_matches(['\r', '\n']))), true)
        }
    };
    let mut value = header::HeaderValue::from_str(text.reveal())
        .map_err(|_| Failure::never(format!("the header `{name}` has a character that no header can have")))?;
    value.set_sensitive(secret);
    Ok(value)
}

/// A relative file is one of systemd's credentials.
fn credential(file: &Path) -> PathBuf {
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(dir) if file.is_relative() => Path::new(&dir).join(file),
        _ => file.to_owned(),
    }
}

/// The body with its parameters filled in.
fn filled(body: &Value, params: &BTreeMap<String, Value>) -> Result<Value, Failure> {
    Ok(match body {
        Value::String(text) => match text.strip_prefix(':') {
            Some(name) => params.get(name).cloned().ok_or_else(|| {
                Failure::never(format!("`:{name}` in the job's body is no parameter"))
                    .help(format!("declare `{name}` in the job's [params]"))
            })?,
            None => Value::String(text.clone()),
        },
        Value::Array(items) => Value::Array(items.iter().map(|item| filled(item, params)).collect::<Result<_, _>>()?),
        Value::Object(items) => Value::Object(
            items.iter().map(|(key, item)| Ok((key.clone(), filled(item, params)?))).collect::<Result<_, Failure>>()?,
        ),
        other => other.clone(),
    })
}

/// Reads the answer to its end and keeps its beginning.
async fn read(response: &mut Response) -> Result<(u64, Vec<u8>), reqwest::Error> {
    let (mut bytes, mut start) = (0, Vec::new());
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len() as u64;
        let room = SHOWN - start.len();
        start.extend(chunk.iter().take(room));
    }
    Ok((bytes, start))
}

/// An answer that was not expected.
fn refused(what: &str, response: &Response, start: &[u8]) -> Failure {
    let status = response.status();
    let text = String::from_utf8_lossy(start).replace('\0', "");
    let text = text.trim();
    let said = if text.is_empty() { String::new() } else { format!(": {text}") };
    let why = format!("{what} answered {status}{said}");
    let passes = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY);
    let failure = if passes { Failure::later(why) } else { Failure::never(why) };
    if !status.is_redirection() {
        return failure;
    }
    let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
    let to = to.and_then(|to| response.url().join(to).ok()).map(|url| place(&url)).unwrap_or_default();
    failure.help(format!("redirects to another host are not followed; if {to} is right, write it as `url`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_values_in_the_body() {
        let params = BTreeMap::from([("days".to_owned(), json!(30)), ("who".to_owned(), json!("a \"b\""))]);
        let body = json!({ "days": ":days", "list": [":who", "plain"], "n": 1 });
        assert_eq!(filled(&body, &params), Ok(json!({ "days": 30, "list": ["a \"b\"", "plain"], "n": 1 })));
        assert!(filled(&json!(":nobody"), &params).is_err());
    }

    #[test]
    fn a_url_for_people_has_no_secret() {
        let url = Url::parse("https://me:pw@example.org:8443/a?token=x").expect("a URL");
        assert_eq!(place(&url), "https://example.org:8443/a");
    }
}
