//! A test that runs again in namespaces of its own: what it mounts and which networks it makes end with it, however it ends.

use std::{io::Write as _, process::Command};

/// Says to the second run that it is one.
const INSIDE: &str = "SEXTON_TEST_INSIDE";

/// Whether this is the run inside. If not, runs the test again with these namespaces, after this script; a machine that
/// forbids that says so, loudly.
pub(super) fn inside(test: &str, namespaces: &[&str], script: &str) -> bool {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == test) {
        return true;
    }
    let user = if rustix::process::geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
    let folder = crate::support::open_folder("sexton-private-");
    let child = Command::new("unshare")
        .args(user)
        .args(namespaces)
        .args(["sh", "-c", &format!("set -e; {script}\nexec \"$@\""), "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, test)
        .env("PLACE", folder.path())
        .output();
    let (ok, said) = child.map_or((false, "there is no `unshare`".to_owned()), |output| {
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    });
    if said.contains("running 1 test") {
        print!("{said}");
        assert!(ok && said.contains("1 passed"), "{said}");
    } else {
        // Past the capture of the test runner: nobody may believe that this was run.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: {test} needs namespaces, which it may not make here: {said}");
    }
    false
}
