//! How much memory this process has, and giving back what only its start or a run needed of it.
//!
//! Most of a daemon that does nothing is its own code: Linux brings in 64 KiB of it around each place that is used, once, and
//! keeps them. Such pages are copies of a file, so they can be given back at any time: whoever needs one again gets it from
//! the file, in about a microsecond.

use std::{fs, io, ops::Range};

#[cfg(target_os = "linux")]
use rustix::mm::{Advice, madvise};

/// Bytes that this process has in memory (its resident set); `None` where the system does not say.
pub fn resident() -> Option<u64> {
    figure(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Gives pages of code back that nobody may need for long. Takes a few milliseconds.
pub fn tidy() {
    if let Err(error) = give_back() {
        tracing::debug!(%error, "pages of code could not be given back");
    }
}

fn give_back() -> io::Result<()> {
    for place in clean(&fs::read_to_string("/proc/self/smaps")?) {
        // SAFETY: the place is a private mapping of a file that may not be written to, and no page of it ever was (also not
        // by the loader's relocations): what is read there again comes from the file, and is what was there before.
        #[cfg(target_os = "linux")]
        unsafe {
            madvise(place.start as *mut _, place.len(), Advice::LinuxDontNeed)?;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = place;
    }
    Ok(())
}

/// A figure of Linux's text about a process, in bytes.
fn figure(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The places of private mappings of files that cannot be written to and never were.
fn clean(smaps: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut place = None;
    for line in smaps.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [range, flags, _, _, _, path, ..] if path.starts_with('/') => {
                place = Some(range).filter(|_| matches!(flags, "r-xp" | "r--p")).and_then(parse);
            }
            [_, _, _, _, "0"] | [_, _, _, _, _, _, ..] => place = None,
            ["Anonymous:", "0", "kB"] => places.extend(place.take()),
            ["Anonymous:", ..] => place = None,
            _ => {}
        }
    }
    places
}

fn parse(range: &str) -> Option<Range<usize>> {
    let (start, end) = range.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_to_is_given_back() {
        let smaps = "\
            1000-3000 r-xp 00000000 08:01 42   /usr/bin/sexton\nRss:   8 kB\nAnonymous:         0 kB\nVmFlags: rd ex mr\n\
            3000-4000 r--p 00002000 08:01 42   /usr/bin/sexton\nRss:   4 kB\nAnonymous:         4 kB\n\
            4000-5000 rw-p 00003000 08:01 42   /usr/bin/sexton\nRss:   4 kB\nAnonymous:         0 kB\n\
            5000-6000 r--p 00000000 00:00 0\nRss:   4 kB\nAnonymous:         0 kB\n\
            6000-7000 r--p 00000000 00:00 0    [vvar]\nRss:   0 kB\nAnonymous:         0 kB\n\
            7000-8000 r--p 00000000 08:01 43   /lib/a file (deleted)\nRss:   4 kB\nAnonymous:         0 kB\n";
        assert_eq!(clean(smaps), [0x1000..0x3000, 0x7000..0x8000]);
    }

    #[test]
    fn this_process_goes_on_after_it_gave_its_code_back() {
        let of_files = || figure(&fs::read_to_string("/proc/self/status").expect("proc is mounted"), "RssFile:");
        let before = of_files().expect("a figure");
        give_back().expect("given back");
        let after = of_files().expect("a figure");
        assert!(after < before, "{before} bytes, then {after}");
        assert!(resident().expect("a figure") >= after);
    }

    #[test]
    fn figures_are_read_from_what_linux_says() {
        let status = "Name:\tsexton\nVmRSS:\t   15360 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(figure(status, "VmRSS:"), Some(15_728_640));
        assert_eq!(figure(status, "RssFile:"), None);
    }
}
