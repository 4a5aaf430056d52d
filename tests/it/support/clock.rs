//! A process's clock in a test's hand: libfaketime, which answers for the kernel when a program asks what time it is.
//!
//! Only the wall clock is moved; what counts elapsed time goes on as ever, as when an administrator sets the clock.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
};

/// The library, where it is installed: Debian calls the package `libfaketime`.
fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    // The one for several threads serves programs of one thread, too.
    let named = |folder: PathBuf| folder.join("faketime/libfaketimeMT.so.1");
    folders.into_iter().chain(multiarch).map(named).find(|path| path.is_file())
}

/// What moves the clock of a program by as much as `how` says, a variable of libfaketime and its value.
fn preload(how: (&str, String)) -> Option<Vec<(String, String)>> {
    let library = library()?.display().to_string();
    let fixed = [("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("NO_FAKE_STAT", "1")];
    let all = fixed.into_iter().map(|(key, value)| (key, value.to_owned())).chain([("LD_PRELOAD", library), how]);
    Some(all.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The variables of a program whose clock is ahead by so many seconds (or behind), for good. None without libfaketime.
pub fn shifted(seconds: i64) -> Option<Vec<(String, String)>> {
    preload(("FAKETIME", format!("{seconds:+}")))
}

/// A program that is killed leaves a file of libfaketime's behind, and its number may come again.
pub fn forget(pid: u32) {
    for name in ["faketime_shm", "sem.faketime_sem"] {
        let _ = fs::remove_file(format!("/dev/shm/{name}_{pid}"));
    }
}

/// A clock that can be set while its program runs.
pub struct Clock {
    file: PathBuf,
    ahead: AtomicI64,
}

impl Clock {
    /// One that is ahead by so many seconds; it is kept in this folder. None without libfaketime.
    pub fn new(folder: &Path, seconds: i64) -> Option<Self> {
        library()?;
        let clock = Self { file: folder.join("clock"), ahead: AtomicI64::new(0) };
        clock.set(seconds);
        Some(clock)
    }

    /// Sets it, from one instant to the next.
    pub fn set(&self, seconds: i64) {
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, format!("{seconds:+}\n")).expect("a file");
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o644)).expect("chmod");
        fs::rename(&fresh, &self.file).expect("in place");
        self.ahead.store(seconds, Ordering::Relaxed);
    }

    /// How many seconds it is ahead.
    pub fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    /// The variables of the program whose clock it is.
    pub fn env(&self) -> Vec<(String, String)> {
        preload(("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string())).expect("it was there")
    }
}
