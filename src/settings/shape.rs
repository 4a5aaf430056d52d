//! The keys of `sexton.toml`, one function a table.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{
    Alerts, Channel, Database, Direct, Files, Http, Log, LogFormat, Settings, Share, Target, Worker,
    read::{Reader, Table},
    retention::retention,
    vaults::vault,
};
use crate::{lanes, span::Span};

pub(super) fn settings(reader: &mut Reader<'_>, mut root: Table, path: Option<PathBuf>) -> Settings {
    let settings = Settings {
        path,
        instance: reader.text(&mut root, "instance"),
        database: database(reader, &mut root),
        targets: named(reader, &mut root, "targets", target),
        vaults: named(reader, &mut root, "vaults", vault),
        channels: named(reader, &mut root, "channels", channel),
        alerts: alerts(reader, &mut root),
        http: http(reader, &mut root),
        files: files(reader, &mut root),
        worker: worker(reader, &mut root),
        retention: retention(reader, &mut root),
        log: log(reader, &mut root),
    };
    reader.end(root);
    for channel in settings.alerts.default.iter().filter(|name| !settings.channels.contains_key(*name)) {
        let known: Vec<_> = settings.channels.keys().map(String::as_str).collect();
        let help = if known.is_empty() {
            format!("add [channels.{channel}]")
        } else {
            format!("there are: {}", known.join(", "))
        };
        reader.note(
            "alerts.default".into(),
            None,
            format!("names the channel `{channel}`, which is not defined"),
            Some(help),
        );
    }
    settings
}

fn named<T>(
    reader: &mut Reader<'_>,
    root: &mut Table,
    key: &'static str,
    read: fn(&mut Reader<'_>, Table) -> Option<T>,
) -> BTreeMap<String, T> {
    let tables = reader.tables(root, key);
    tables.into_iter().filter_map(|table| Some((table.name().to_owned(), read(reader, table)?))).collect()
}

fn database(reader: &mut Reader<'_>, root: &mut Table) -> Database {
    let mut table = reader.table(root, "database");
    let (url, password) =
        (reader.needed_kept(&mut table, "url", "url_file"), reader.kept(&mut table, "password", "password_file"));
    let direct_url = reader.kept(&mut table, "direct_url", "direct_url_file");
    // Most poolers are entered with the server's own passwords.
    let direct_password = reader.kept(&mut table, "direct_password", "direct_password_file");
    if direct_url.is_none() && direct_password.is_some() {
        let help = "set `direct_url`, the server itself, where `url` leads through a pooler in transaction mode";
        reader.problem(&table, "", "`direct_password` is set without `direct_url`", help);
    }
    let direct = direct_url.map(|url| Direct { url, password: direct_password.or_else(|| password.clone()) });
    let database = Database {
        url,
        password,
        direct,
        max_connections: reader.number(&mut table, "max_connections", 2, 1000).map_or(16, |n| n as u32),
        notify: reader.flag(&mut table, "notify").unwrap_or(true),
    };
    reader.end(table);
    database
}

fn target(reader: &mut Reader<'_>, mut table: Table) -> Option<Target> {
    let target = Target {
        url: reader.needed_kept(&mut table, "url", "url_file"),
        password: reader.kept(&mut table, "password", "password_file"),
        pg_bin: reader.path(&mut table, "pg_bin"),
        sources: reader.list(&mut table, "sources").unwrap_or_default(),
    };
    reader.end(table);
    Some(target)
}

fn channel(reader: &mut Reader<'_>, mut table: Table) -> Option<Channel> {
    let mut found = Vec::new();
    let mut inner = reader.table(&mut table, "slack");
    if inner.written {
        found.push(Channel::Slack { webhook_url: reader.needed_secret(&mut inner, "webhook_url", "webhook_url_file") });
    }
    reader.end(inner);
    let mut inner = reader.table(&mut table, "email");
    if inner.written {
        found.push(email(reader, &mut inner));
    }
    reader.end(inner);
    let mut inner = reader.table(&mut table, "webhook");
    if inner.written {
        found.push(Channel::Webhook {
            url: reader.needed_secret(&mut inner, "url", "url_file"),
            token: reader.secret(&mut inner, "token", "token_file"),
        });
    }
    reader.end(inner);
    let inner = reader.table(&mut table, "log");
    if inner.written {
        found.push(Channel::Log);
    }
    reader.end(inner);
    if found.len() != 1 {
        let message = "must have exactly one of `slack`, `email`, `webhook` and `log`";
        reader.problem(
            &table,
            "",
            message,
            "give each receiver a channel of its own; a job's `alert` can name several",
        );
    }
    reader.end(table);
    found.pop()
}

fn email(reader: &mut Reader<'_>, table: &mut Table) -> Channel {
    let smtp = reader.needed(table, "smtp", "smtps://mail.example.org");
    let username = reader.text(table, "username");
    let password = reader.secret(table, "password", "password_file");
    let from = reader.needed(table, "from", "sexton@example.org");
    let to = reader.list(table, "to").unwrap_or_default();
    if to.is_empty() {
        reader.problem(table, "to", "names nobody", "write to = [\"oncall@example.org\"]");
    }
    Channel::Email { smtp, username, password, from, to }
}

fn alerts(reader: &mut Reader<'_>, root: &mut Table) -> Alerts {
    let mut table = reader.table(root, "alerts");
    let alerts = Alerts {
        default: reader.list(&mut table, "default").unwrap_or_default(),
        remind: reader.parsed(&mut table, "remind").unwrap_or(Span::seconds(4 * 3600)),
    };
    reader.end(table);
    alerts
}

fn http(reader: &mut Reader<'_>, root: &mut Table) -> Option<Http> {
    let mut table = reader.table(root, "http");
    if !table.written {
        return None;
    }
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let listen = reader.text(&mut table, "listen").map(|text| text.parse::<SocketAddr>());
    if let Some(Err(_)) = listen {
        let help = "write listen = \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for every address of this machine";
        reader.problem(&table, "listen", "must be an IP address and a port", help);
    }
    let http = Http {
        listen: listen.and_then(Result::ok).unwrap_or(local),
        token: reader.secret(&mut table, "token", "token_file"),
    };
    reader.end(table);
    Some(http)
}

fn files(reader: &mut Reader<'_>, root: &mut Table) -> Files {
    let mut table = reader.table(root, "files");
    let files = Files {
        jobs: reader.path_or(&mut table, "jobs", "jobs"),
        schedules: reader.path_or(&mut table, "schedules", "schedules"),
        watch: reader.flag(&mut table, "watch").unwrap_or(true),
        every: reader.parsed(&mut table, "every").unwrap_or(Span::seconds(2)),
        most_removed: reader.parsed(&mut table, "most_removed").unwrap_or(Share::percent(50)),
        drift_after: reader.parsed(&mut table, "drift_after").unwrap_or(Span::seconds(120)),
    };
    if files.every < Span(Duration::from_millis(100)) {
        reader.problem(&table, "every", "is shorter than 100ms", "write every = \"2s\"");
    }
    reader.end(table);
    files
}

fn worker(reader: &mut Reader<'_>, root: &mut Table) -> Worker {
    let mut table = reader.table(root, "worker");
    let worker = Worker {
        slots: reader.number(&mut table, "slots", 1, 5000).map_or(8, |n| n as usize),
        grace: reader.parsed(&mut table, "grace").unwrap_or(Span::seconds(30)),
        labels: reader.list(&mut table, "labels").unwrap_or_default(),
    };
    for label in worker.labels.iter().filter(|label| !lanes::is_label(label)) {
        reader.problem(&table, "labels", format!("`{label}` is no label"), lanes::LABEL_HELP);
    }
    reader.end(table);
    worker
}

fn log(reader: &mut Reader<'_>, root: &mut Table) -> Log {
    let mut table = reader.table(root, "log");
    let format = match reader.text(&mut table, "format").as_deref() {
        None | Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(_) => {
            reader.problem(&table, "format", "must be `text` or `json`", "write format = \"text\"");
            LogFormat::Text
        }
    };
    let log = Log { format, level: reader.text(&mut table, "level").unwrap_or_else(|| "info".into()) };
    reader.end(table);
    log
}
