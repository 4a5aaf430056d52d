//! The one shared cluster, kept by a process of its own.
//!
//! `cargo test` runs all tests in one process, nextest each in its own; a cluster a test would be slow, and a test
//! process cannot clean up at its end. So the first that needs a database starts this binary again as a keeper,
//! which holds the cluster until the test run (the owner) is gone, and then removes every trace.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use sexton::{
    child::Spawner,
    db,
    embedded::{Cluster, Options},
    secret::Secret,
};

/// Name of the migrated database that each test's is cloned from.
pub const TEMPLATE: &str = "sexton_template";
const OWNER: &str = "SEXTON_TEST_OWNER";
/// A first start on a busy machine.
const STARTED: Duration = Duration::from_secs(120);

/// The socket folder of the shared cluster; starts it when it is first asked for.
pub fn socket_dir() -> &'static Path {
    static SOCKETS: OnceLock<PathBuf> = OnceLock::new();
    SOCKETS.get_or_init(|| {
        let owner = owner();
        let place = place(owner);
        let gate = File::create(place.with_extension("gate")).expect("a gate file");
        gate.lock().expect("the gate");
        let ready = place.join("ready");
        if !keeper_lives(&place) {
            let _ = fs::remove_dir_all(&place);
            sweep();
            launch(owner);
        }
        let begun = Instant::now();
        loop {
            if let Ok(text) = fs::read_to_string(&ready) {
                return PathBuf::from(text);
            }
            if let Ok(text) = fs::read_to_string(place.with_extension("error")) {
                panic!("the shared cluster did not start: {text}");
            }
            assert!(begun.elapsed() < STARTED, "the shared cluster did not start within {} s", STARTED.as_secs());
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

/// The test run: nextest itself, or this process.
fn owner() -> u32 {
    if std::env::var_os("NEXTEST").is_some() { std::os::unix::process::parent_id() } else { std::process::id() }
}

fn place(owner: u32) -> PathBuf {
    std::env::temp_dir().join(format!("sexton-it-{owner}"))
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    let pid = rustix::process::Pid::from_raw(pid.cast_signed());
    !zombie && pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

fn keeper_lives(place: &Path) -> bool {
    fs::read_to_string(place.join("keeper")).is_ok_and(|pid| pid.trim().parse().is_ok_and(lives))
}

/// Removes what a killed keeper left behind.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix("sexton-it-") else { continue };
        let owner = rest.split('.').next().and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|owner| !lives(owner)) && !keeper_lives(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn launch(owner: u32) {
    let mut keeper = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--ignored", "--nocapture", "support::keeper::keep"])
        .env(OWNER, owner.to_string())
        .env_remove("NEXTEST")
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the keeper starts");
    // Usually it outlives this process; if not, it leaves no zombie.
    std::thread::spawn(move || keeper.wait());
}

#[test]
#[ignore = "not a test: the process that keeps the shared cluster"]
fn keep() {
    let Some(owner) = std::env::var(OWNER).ok().and_then(|owner| owner.parse::<u32>().ok()) else { return };
    let place = place(owner);
    let error = place.with_extension("error");
    let _ = fs::remove_file(&error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(start(&place)) {
        Ok(cluster) => runtime.block_on(async {
            while lives(owner) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let _ = cluster.stop().await;
        }),
        Err(why) => {
            let _ = fs::write(&error, why);
            while lives(owner) {
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
    let _ = fs::remove_dir_all(&place);
    let _ = fs::remove_file(&error);
    let _ = fs::remove_file(place.with_extension("gate"));
}

async fn start(place: &Path) -> Result<Cluster, String> {
    use std::os::unix::fs::DirBuilderExt;
    let told = |error: &dyn std::error::Error| error.to_string();
    fs::DirBuilder::new().mode(0o711).recursive(true).create(place).map_err(|error| told(&error))?;
    fs::write(place.join("keeper"), std::process::id().to_string()).map_err(|error| told(&error))?;
    let spawner = Spawner::start().map_err(|error| told(&error))?;
    let options = Options { max_connections: 300, ..super::options(false) };
    let cluster = Cluster::start(&place.join("pg"), &options, &spawner).await.map_err(|error| told(&error))?;
    cluster.create_database(TEMPLATE).await.map_err(|error| told(&error))?;
    let login = db::Login::new(&Secret::new(cluster.url(TEMPLATE)), None).map_err(|error| told(&error))?;
    let pool = db::queue_pool(&login, 1);
    db::migrate(&pool).await.map_err(|error| told(&error))?;
    pool.close().await;
    let ready = place.join("ready.new");
    let sockets = cluster.socket_dir().to_str().ok_or("a socket path that is not UTF-8")?;
    fs::write(&ready, sockets).and_then(|()| fs::rename(&ready, place.join("ready"))).map_err(|error| told(&error))?;
    Ok(cluster)
}
