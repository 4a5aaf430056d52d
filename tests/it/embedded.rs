//! The private cluster: who starts it, who shares it, and how it ends.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal};
use sexton::{
    child::{Child, Spawner},
    embedded::{Cluster, EmbeddedError, Options},
};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use crate::support::{eventually, open_folder, options, own_cluster};

fn quick() -> Options {
    options(false)
}

#[tokio::test]
async fn a_second_start_adopts_the_running_server() {
    let (folder, spawner) = (open_folder("sexton-own-"), Spawner::start().unwrap());
    let first = Cluster::start(folder.path(), &quick(), &spawner).await.expect("a cluster");
    let second = Cluster::start(folder.path(), &quick(), &spawner).await.expect("the same cluster");
    assert!(second.is_adopted() && !first.is_adopted());
    assert_eq!(first.pid(), second.pid());
    second.stop().await.expect("nothing to do for a guest");
    assert!(first.create_database("still there").await.expect("the owner's server runs on"));
    first.stop().await.expect("a clean stop");
}

#[tokio::test]
async fn two_starts_at_once_make_one_server() {
    let (folder, spawner) = (open_folder("sexton-own-"), Spawner::start().unwrap());
    let options = quick();
    let start = || Cluster::start(folder.path(), &options, &spawner);
    let (one, other) = tokio::join!(start(), start());
    let (one, other) = (one.expect("one"), other.expect("the other"));
    assert_eq!(one.pid(), other.pid());
    assert!(one.is_adopted() != other.is_adopted());
}

#[tokio::test]
async fn what_was_committed_survives_kill_9_of_the_server() {
    let mut own = own_cluster(true).await;
    let (_, pool) = own.database("q").await;
    sqlx::query("create table t as select 1 as n").execute(&pool).await.unwrap();
    own.kill_9();
    own.restart().await;
    let (_, pool) = own.database("q").await;
    let rows: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 1);
    assert!(own.log().contains("was not properly shut down"), "{}", own.log());
}

#[tokio::test]
async fn kill_9_of_the_owner_is_a_clean_shutdown_for_the_server() {
    let (folder, spawner) = (open_folder("sexton-own-"), Spawner::start().unwrap());
    let mut holder = hold_elsewhere(&spawner, &std::env::current_exe().unwrap(), folder.path(), None).await;
    let pid = Pid::from_raw(holder.pid().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();

    // At once, while the server may still be shutting down.
    let cluster = Cluster::start(folder.path(), &options(true), &spawner).await.expect("the next start");
    assert!(!cluster.is_adopted(), "the holder is gone: the server is ours");
    assert!(!cluster.create_database("made by the holder").await.unwrap(), "nothing is lost");
    let log = fs::read_to_string(cluster.log()).unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
    assert!(!log.contains("not properly shut down"), "{log}");
    cluster.stop().await.expect("a clean stop");
    holder.wait().await.unwrap();
}

/// Root lends its rights to nobody for this; an ordinary user is one already.
#[tokio::test]
async fn an_ordinary_user_has_a_cluster_that_no_other_may_enter() {
    if !rustix::process::geteuid().is_root() {
        return own_cluster(true).await.stop().await;
    }
    let (folder, spawner) = (open_folder("sexton-own-"), Spawner::start().unwrap());
    let (state, program) = (folder.path().join("state"), folder.path().join("it"));
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    let mut holder = hold_elsewhere(&spawner, &program, &state, Some(NOBODY)).await;
    let login = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .socket(state.join("run"))
        .username("sexton")
        .database("postgres");
    let error = PgConnection::connect_with(&login).await.expect_err("root is not in this cluster's map").to_string();
    assert!(error.contains("eer authentication failed"), "{error}");
    holder.end(Duration::from_secs(20)).await.unwrap();
}

#[tokio::test]
async fn files_of_another_major_are_refused_with_a_hint() {
    let mut own = own_cluster(false).await;
    own.stop().await;
    fs::write(own.state().join("data/PG_VERSION"), "13\n").unwrap();
    let error = Cluster::start(own.state(), &quick(), &Spawner::start().unwrap()).await.expect_err("another major");
    assert!(matches!(error, EmbeddedError::Version { was: 13, .. }), "{error}");
    assert!(error.to_string().contains("help: install PostgreSQL 13"), "{error}");
}

#[tokio::test]
async fn a_folder_that_the_servers_user_cannot_enter_is_named() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = open_folder("sexton-own-");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let state = folder.path().join("state");
    let error = Cluster::start(&state, &quick(), &Spawner::start().unwrap()).await.expect_err("a closed folder");
    let EmbeddedError::Unreachable { folder: closed, .. } = &error else { panic!("{error}") };
    assert_eq!(closed, folder.path());
}

#[tokio::test]
async fn a_lock_without_a_server_says_who_holds_it() {
    let folder = open_folder("sexton-own-");
    let lock = fs::File::create(folder.path().join("lock")).unwrap();
    lock.lock().unwrap();
    fs::write(folder.path().join("lock"), "pid 4242").unwrap();
    let options = Options { patience: Duration::from_millis(100), ..quick() };
    let error = Cluster::start(folder.path(), &options, &Spawner::start().unwrap()).await.expect_err("held");
    assert!(error.to_string().contains("(pid 4242) holds"), "{error}");
}

#[tokio::test]
async fn a_deep_folder_has_its_socket_elsewhere() {
    let folder = open_folder("sexton-own-");
    let deep = folder.path().join("x".repeat(60)).join("y".repeat(60));
    let cluster = Cluster::start(&deep, &quick(), &Spawner::start().unwrap()).await.expect("a cluster");
    let sockets = cluster.socket_dir().to_owned();
    assert!(!sockets.starts_with(folder.path()), "{}", sockets.display());
    assert!(cluster.create_database("reached").await.unwrap());
    cluster.stop().await.unwrap();
    fs::remove_dir(sockets).unwrap();
}

const NOBODY: u32 = 65_534;
const HOLD: &str = "SEXTON_TEST_HOLD";

/// Starts `program` (this test binary) again as a process that owns a cluster, and waits until that is up.
async fn hold_elsewhere(spawner: &Spawner, program: &Path, state: &Path, user: Option<u32>) -> Child {
    let mut command = Command::new(program);
    command.args(["--exact", "--ignored", "--nocapture", "embedded::hold"]).env(HOLD, state).env_remove("USER");
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let child = spawner.spawn(command).await.expect("this program starts again");
    let ready = state.join("held");
    eventually("the holder's cluster", || async { fs::metadata(&ready).ok() }).await;
    child
}

#[tokio::test]
#[ignore = "not a test: the process that owns a cluster for the tests above"]
async fn hold() {
    let Some(state) = std::env::var_os(HOLD).map(PathBuf::from) else { return };
    let cluster = Cluster::start(&state, &options(true), &Spawner::start().unwrap()).await.expect("a cluster");
    cluster.create_database("made by the holder").await.unwrap();
    fs::write(state.join("held"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    drop(cluster);
}
