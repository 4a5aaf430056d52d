//! Faults of whole machines: a database that fails over, a network that is cut, a disk or a memory that is full, a process
//! that is told to leave. `docs/reliability.md` says which test holds which promise.

mod apart;
mod failover;
mod full_disk;
mod leaving;
mod memory;
mod page;
mod private;

use serde_json::json;
use sexton::{span::Span, spec::Spec};

use crate::support::{Site, work};

/// What a child does until the file `go` is there: a line every tenth of a second, from a child's child, with the run, its
/// daemon, itself, and the seconds since the machine's start.
const TICK: &str = "while [ ! -e \"$1\" ]; do read up idle < /proc/uptime; \
                    echo \"$SEXTON_RUN $2 $$ $up\" >> ticks; sleep 0.1; done; echo \"$SEXTON_RUN end\" >> ticks\n";

/// The snapshot of a job that ticks until the file `go` is there.
fn ticks(site: &Site, job: &str, go: &str, lease: Span) -> Spec {
    site.write("tick.sh", TICK);
    let script = format!("cd {}; sh tick.sh {go} $PPID & wait $!", site.folder().display());
    let mut spec = work::spec(job, "exec", json!({ "argv": ["sh", "-c", script] }));
    (spec.lease, spec.timeout, spec.alert) = (lease, Some(Span::seconds(900)), Vec::new());
    spec
}

/// One child's ticks.
#[derive(Debug, Clone, PartialEq)]
struct Ticked {
    run: uuid::Uuid,
    daemon: u32,
    child: u32,
    first: f64,
    last: f64,
}

/// What ticked, in the order of its first tick, and which runs came to their end, as often as they did.
fn ticked(site: &Site) -> (Vec<Ticked>, Vec<uuid::Uuid>) {
    let text = std::fs::read_to_string(site.path("ticks")).unwrap_or_default();
    let (mut all, mut ends): (Vec<Ticked>, Vec<uuid::Uuid>) = Default::default();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            [run, "end"] => ends.extend(run.parse::<uuid::Uuid>().ok()),
            [run, daemon, child, up] => {
                let (Ok(run), Ok(daemon), Ok(child), Ok(at)) = (run.parse(), daemon.parse(), child.parse(), up.parse())
                else {
                    continue;
                };
                match all.iter_mut().find(|one| (one.run, one.daemon, one.child) == (run, daemon, child)) {
                    Some(one) => one.last = at,
                    None => all.push(Ticked { run, daemon, child, first: at, last: at }),
                }
            }
            // A killed process may have written half a line.
            _ => {}
        }
    }
    (all, ends)
}
