//! The files as they are on disk: every `*.toml` of the two folders, and the calendars, by a path that is the same on
//! every machine.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Problem;

/// Larger files are refused; nobody writes a megabyte of schedules by hand.
const LARGEST: u64 = 1 << 20;

/// Texts by path: `jobs/NAME.toml`, `jobs/datasets/NAME.toml`, `schedules/NAME.toml`,
/// `schedules/calendars/NAME.ics` or `.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Files(pub BTreeMap<String, String>);

impl Files {
    /// Reads the two folders. What cannot be read is a problem; the rest is still there to be checked.
    pub fn read(jobs: &Path, schedules: &Path) -> (Self, Vec<Problem>) {
        let mut read = Reading::default();
        read.folder(jobs, "jobs", Some("datasets"), &[".toml"]);
        let datasets = jobs.join("datasets");
        if datasets.is_dir() {
            read.folder(&datasets, "jobs/datasets", None, &[".toml"]);
        }
        read.folder(schedules, "schedules", Some("calendars"), &[".toml"]);
        let calendars = schedules.join("calendars");
        if calendars.is_dir() {
            read.folder(&calendars, "schedules/calendars", None, &[".toml", ".ics"]);
        }
        (read.files, read.problems)
    }

    /// One text.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// What tells one set of files from another: SHA-256 over paths and texts, in hex.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, text) in &self.0 {
            // Lengths first, so that no two sets run together to the same bytes.
            hash.update((path.len() as u64).to_be_bytes());
            hash.update(path);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<P: Into<String>, T: Into<String>> FromIterator<(P, T)> for Files {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Self {
        Self(files.into_iter().map(|(path, text)| (path.into(), text.into())).collect())
    }
}

#[derive(Default)]
struct Reading {
    files: Files,
    problems: Vec<Problem>,
}

impl Reading {
    fn problem(&mut self, file: &str, message: String, help: &str) {
        self.problems.push(Problem::whole(file, message, Some(help.to_owned())));
    }

    fn folder(&mut self, folder: &Path, name: &str, inner: Option<&str>, endings: &[&str]) {
        let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                let message = format!("the folder {} cannot be read: {error}", folder.display());
                let key = if name == "schedules" { "schedules" } else { "jobs" };
                return self.problem(
                    name,
                    message,
                    &format!("make it, or set `{key}` in [files] of sexton.toml, or give --{key}"),
                );
            }
        };
        for entry in entries {
            let Ok(file) = entry.file_name().into_string() else {
                self.problem(name, format!("the file name {:?} is no UTF-8", entry.file_name()), "rename the file");
                continue;
            };
            // Dots hide editors' half-written files and Kubernetes' own links.
            if file.starts_with('.') || inner == Some(file.as_str()) {
                continue;
            }
            let path = format!("{name}/{file}");
            if entry.path().is_dir() {
                self.problem(&path, "is a folder, and no folder is read here".into(), "move its files one level up");
            } else if endings.iter().any(|ending| file.ends_with(ending)) {
                self.file(&entry.path(), path);
            }
        }
    }

    fn file(&mut self, from: &Path, path: String) {
        let mut bytes = Vec::new();
        // The limit holds while reading: a link may lead to a device.
        let read = std::fs::File::open(from).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            return self.problem(&path, format!("cannot be read: {error}"), "let Sexton's user read it");
        }
        if bytes.len() as u64 > LARGEST {
            return self.problem(&path, "is larger than 1 MiB".into(), "split it; is it the right file?");
        }
        // Programs export calendars with one, and nobody edits them.
        if bytes.starts_with(b"\xEF\xBB\xBF") && !path.ends_with(".ics") {
            return self.problem(&path, "starts with a byte-order mark".into(), "save it as UTF-8 without BOM");
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                self.files.0.insert(path, text);
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
                self.problem(&path, format!("is no UTF-8 in line {line}"), "save it as UTF-8");
            }
        }
    }
}
