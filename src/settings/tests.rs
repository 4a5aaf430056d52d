//! Claims about settings: where they come from, and what is told of broken ones.

use std::collections::HashMap;

use super::{
    Channel, Checksums, Retention, Settings, VaultPlace,
    read::{Secrets, load},
};
use crate::secret::Secret;

fn with(text: &str, env: &[(&str, &str)], secrets: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sexton.toml");
    std::fs::write(&file, text).expect("written");
    for (name, secret) in secrets {
        std::fs::write(folder.path().join(name), secret).expect("written");
    }
    let mut env: HashMap<String, String> = env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    env.insert("CREDENTIALS_DIRECTORY".into(), folder.path().display().to_string());
    load(Some(&file), &env, Secrets::Open)
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

const WHOLE: &str = r#"
    instance = "prod"
    [database]
    url = "postgres://sexton@db/sexton"
    [targets.collector]
    url = "postgres://sexton@db/collector"
    password_file = "pw"
    [vaults.main]
    s3 = { bucket = "b", prefix = "/p/", region = "us-west-2" }
    [vaults.local]
    dir = "backups"
    [channels.ops]
    slack = { webhook_url_file = "hook" }
    [channels.oncall]
    email = { smtp = "smtps://mail", from = "a@b", to = ["c@d"] }
    [channels.log]
    log = {}
    [alerts]
    default = ["ops"]
"#;

#[test]
fn secrets_come_inline_from_files_and_from_the_credentials_folder() {
    let found = with(
        WHOLE,
        &[("SEXTON_HTTP__TOKEN", "t"), ("SEXTON_WORKER__SLOTS", "3"), ("SEXTON_PG_BIN", "/x")],
        &[("pw", "p\n"), ("hook", "https://hooks"), ("database.password", "q")],
    )
    .expect("settings");
    assert_eq!(found.targets["collector"].password.as_ref().map(|kept| kept.secret.reveal()), Some("p"));
    assert_eq!(found.database.password.as_ref().map(|kept| kept.secret.reveal()), Some("q"));
    assert_eq!(found.http.expect("http").token.as_ref().map(Secret::reveal), Some("t"));
    assert_eq!(found.worker.slots, 3);
    assert!(matches!(&found.vaults["main"].place, VaultPlace::S3(s3) if s3.prefix == "p"));
    assert!(matches!(&found.vaults["local"].place, VaultPlace::Dir(dir) if dir.is_absolute()));
    assert!(matches!(&found.channels["oncall"], Channel::Email { to, .. } if to == &["c@d"]));
}

#[test]
fn the_environment_wins_over_the_file() {
    let found = with(WHOLE, &[("SEXTON_DATABASE__URL", "postgres://elsewhere/x")], &[("pw", "p"), ("hook", "h")]);
    assert_eq!(found.expect("settings").database.url.secret.reveal(), "postgres://elsewhere/x");
}

#[test]
fn every_problem_is_told_with_its_line_and_key() {
    let text = r#"[database]
url = "postgres://db/x"
url_file = "too"
[targets.collector]
ulr = "postgres://s3cret@db/x"
[vaults.main]
[channels.ops]
slack = { webhook_url_file = "absent" }
log = {}
[alerts]
remind = "4 hours"
default = ["opps"]
[log]
format = "xml"
"#;
    let told = with(text, &[("SEXTON_WORKER__SLOTS", "many")], &[]).expect_err("problems");
    assert!(!told.contains("s3cret"), "{told}");
    insta::assert_snapshot!(told, @r#"
        SEXTON_WORKER__SLOTS: worker.slots: must be a whole number from 1 to 5000
        sexton.toml:1: database: `url` and `url_file` are both set
          help: keep one of them
        sexton.toml:4: targets.collector: `url` is missing
          help: set `url`, or `url_file` to a file that holds it, or put it into $CREDENTIALS_DIRECTORY/targets.collector.url
        sexton.toml:5: targets.collector.ulr: is not a setting
          help: did you mean `url`?
        sexton.toml:6: vaults.main: must have exactly one of `s3` and `dir`
          help: write s3 = { bucket = "…" } or dir = "/path"
        sexton.toml:7: channels.ops: must have exactly one of `slack`, `email`, `webhook` and `log`
          help: give each receiver a channel of its own; a job's `alert` can name several
        sexton.toml:8: channels.ops.slack.webhook_url_file: absent cannot be read: No such file or directory (os error 2)
          help: write the secret into that file and let the daemon's user read it
        sexton.toml:11: alerts.remind: `4 hours` is not a length of time (write a whole number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `15m`, `365d`)
        sexton.toml:12: alerts.default: names the channel `opps`, which is not defined
          help: there are: ops
        sexton.toml:14: log.format: must be `text` or `json`
          help: write format = "text"
    "#);
}

/// The keys that the example shows as comments are held by the second text.
#[test]
fn the_example_can_be_used_as_it_stands_and_with_every_comment_taken_away() {
    let example = include_str!("../../sexton.example.toml");
    let settings = with(example, &[], &[]).expect("settings");
    assert_eq!(settings.alerts.default, ["ops"]);
    assert!(settings.http.is_none());
    assert_eq!(settings.retention, Retention::default(), "the example shows what holds without it");

    let keys = [
        "instance",
        "password_file",
        "direct_url",
        "direct_password_file",
        "max_connections",
        "notify",
        "pg_bin",
        "sources",
        "[channels.oncall]",
        "email",
        "[http]",
        "listen",
        "token_file",
        "budget",
        "bandwidth",
        "[vaults.offsite.s3]",
        "bucket",
        "prefix",
        "region",
        "endpoint",
        "path_style",
        "access_key_id_file",
        "secret_access_key_file",
        "storage_class",
        "sse",
        "kms_key_id",
        "checksums",
    ];
    let shown = |line: &&str| keys.iter().any(|key| line.strip_prefix("# ").is_some_and(|rest| rest.starts_with(key)));
    let lines: Vec<&str> = example.lines().map(|line| if shown(&line) { &line[2..] } else { line }).collect();
    let bare: String = lines.join("\n").replace("/run/credentials/", "");
    let secrets = [("queue", "q"), ("collector", "c"), ("api-token", "t"), ("s3-id", "i"), ("s3-secret", "s")];
    let settings = with(&bare, &[], &secrets).expect("settings");
    assert!(settings.http.expect("http").token.is_some());
    assert_eq!(settings.instance.as_deref(), Some("prod"));
    assert!(settings.database.notify && settings.database.direct.is_some_and(|direct| direct.password.is_some()));
    assert!(settings.targets["collector"].password.is_some() && settings.channels.contains_key("oncall"));
    let main = &settings.vaults["main"];
    assert_eq!((main.budget, main.bandwidth), (Some(500 << 30), Some(20 << 20)));
    let VaultPlace::S3(s3) = &settings.vaults["offsite"].place else { panic!("offsite is a bucket") };
    assert_eq!((s3.sse.as_deref(), s3.checksums), (Some("aws:kms"), Some(Checksums::Sha256)));
    assert_eq!(s3.access_key_id.as_ref().map(Secret::reveal), Some("i"));
}

#[test]
fn what_is_kept_can_be_said_but_not_for_less_than_a_day() {
    let base = "[database]\nurl = \"postgres://db/x\"\n[retention]\n";
    let found = with(&format!("{base}done = \"7d\"\nlast = 3"), &[], &[]).expect("settings").retention;
    assert_eq!((found.done.days(), found.failed.days(), found.last), (7, 365, 3));
    let told = with(&format!("{base}log = \"23h\"\nlast = 0\nslot = \"9d\""), &[], &[]).expect_err("problems");
    insta::assert_snapshot!(told, @r#"
        sexton.toml:4: retention.log: is shorter than a day
          help: write log = "30d"
        sexton.toml:5: retention.last: must be a whole number from 1 to 10000
        sexton.toml:6: retention.slot: is not a setting
          help: did you mean `slots`?
    "#);
}

#[test]
fn what_a_vault_cannot_be_told_is_refused_with_what_to_write() {
    let text = r#"[database]
url = "postgres://db/x"
[vaults.main]
dir = "/x"
budget = "500"
bandwidth = "20 MiB"
[vaults.other.s3]
bucket = "b"
sse = "AES"
kms_key_id = "k"
checksums = "md5"
"#;
    insta::assert_snapshot!(with(text, &[], &[]).expect_err("problems"), @r#"
    sexton.toml:5: vaults.main.budget: `500` is not a size (write a number and a unit: `500 GiB`, `2 TB`)
    sexton.toml:6: vaults.main.bandwidth: `20 MiB` is not a bandwidth (write a size a second: `20 MiB/s`)
    sexton.toml:9: vaults.other.s3.sse: must be `AES256` or `aws:kms`
      help: write sse = "AES256"
    sexton.toml:10: vaults.other.s3.kms_key_id: is only used with sse = "aws:kms"
      help: write sse = "aws:kms", or leave the key out
    sexton.toml:11: vaults.other.s3.checksums: must be `sha256`, `crc64` or `none`
      help: leave it out: then it is `sha256` on AWS, and `none` with an endpoint of your own
    "#);
}
