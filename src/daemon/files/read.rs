//! Reads the files once they hold still.

use std::time::Duration;

use tokio::time::sleep;

use super::Source;
use crate::catalog::{Catalog, Files, Parsed, Problem};

/// Two readings this far apart must be equal: an editor, `git` or a sync may be in the middle of its work.
const STEADY: Duration = Duration::from_millis(100);
/// How often to read until two readings are equal.
const READINGS: usize = 50;

/// The files as they were read, with what could not be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The texts.
    pub files: Files,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Everything that is wrong with them; what cannot be read is told first.
    pub(super) fn parse(&self, source: &Source) -> Parsed {
        let mut parsed = Catalog::parse(&self.files);
        parsed.check_names(&source.names);
        parsed.problems.splice(0..0, self.problems.iter().cloned());
        if parsed.problems.iter().any(Problem::is_error) {
            parsed.catalog = None;
        }
        parsed
    }
}

/// One reading.
pub async fn read(source: &Source) -> Reading {
    let (jobs, schedules) = (source.jobs.clone(), source.schedules.clone());
    let reading = tokio::task::spawn_blocking(move || Files::read(&jobs, &schedules));
    let (files, problems) = reading.await.unwrap_or_else(|error| {
        (Files::default(), vec![Problem::whole("jobs", format!("reading the files failed: {error}"), None)])
    });
    Reading { files, problems }
}

/// The files, once two readings in a row are equal.
pub(super) async fn settled(source: &Source) -> Reading {
    let mut last = read(source).await;
    for _ in 0..READINGS {
        sleep(STEADY).await;
        let next = read(source).await;
        if next == last {
            return next;
        }
        last = next;
    }
    let help = Some("reload once whatever writes them is done".to_owned());
    let message = format!("the files kept changing for {:?}", STEADY * READINGS as u32);
    last.problems.push(Problem::whole("jobs", message, help));
    last
}
