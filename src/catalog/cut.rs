//! Files that were cut off: by a full disk, or by a reader who came too early.

use toml::Table;

use super::{Files, Problem};

/// Says of every file that is nothing but the beginning of the same file in `old` how much of it is missing. What lost
/// only comments and white space is as good as before.
pub fn cut_off(old: &Files, new: &Files) -> Vec<Problem> {
    let both = new.0.iter().filter_map(|(path, text)| Some((path, old.get(path)?, text.as_str())));
    both.filter(|(_, old, new)| is_cut(old, new) && !means_the_same(old, new)).map(|cut| problem(cut.0, cut)).collect()
}

/// Whether the two sets are the same but for comments and white space that some files have lost at their ends.
pub fn only_trimmed(old: &Files, new: &Files) -> bool {
    old.0.len() == new.0.len()
        && old.0.iter().all(|(path, old)| {
            new.get(path).is_some_and(|new| old == new || is_cut(old, new) && means_the_same(old, new))
        })
}

/// White space alone is what an empty file looks like to an editor.
fn is_cut(old: &str, new: &str) -> bool {
    new.len() < old.len() && (old.starts_with(new) || new.trim().is_empty())
}

fn means_the_same(old: &str, new: &str) -> bool {
    match (old.parse::<Table>(), new.parse::<Table>()) {
        (Ok(old), Ok(new)) => old == new,
        _ => old.trim_end() == new.trim_end(),
    }
}

fn problem(path: &str, (_, old, new): (&String, &str, &str)) -> Problem {
    let message = if new.trim().is_empty() {
        format!("is empty; in the active revision it has {} bytes", old.len())
    } else {
        let missing = old.len() - new.len();
        format!("is cut off: the last {missing} of its {} bytes in the active revision are missing", old.len())
    };
    let help =
        "is the disk full, or is it still being written? `sexton apply --allow-removals` takes it if it is meant";
    Problem::whole(path, message, Some(help.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "a = 10\n[b]\nc = \"x\" # why\n\n# the end\n";

    fn told(new: &str) -> Vec<String> {
        let files = |text: &str| Files::from_iter([("jobs/j.toml", text), ("jobs/k.toml", "d = 1\n")]);
        cut_off(&files(WHOLE), &files(new)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_beginning_is_cut_off_unless_it_means_the_same() {
        let good = WHOLE.find(" # why").expect("there");
        for at in 0..WHOLE.len() {
            assert_eq!(told(&WHOLE[..at]).is_empty(), at >= good, "{at}: {:?}", &WHOLE[..at]);
        }
        assert_eq!(
            told(&WHOLE[..5]),
            ["jobs/j.toml: is cut off: the last 31 of its 36 bytes in the active revision are missing"]
        );
        assert_eq!(told("\n\n"), ["jobs/j.toml: is empty; in the active revision it has 36 bytes"]);
    }

    #[test]
    fn an_edit_is_none() {
        for edit in [WHOLE.to_owned(), WHOLE.replace("10", "1"), format!("{WHOLE}e = 1\n"), WHOLE.replace("# why", "")]
        {
            assert!(told(&edit).is_empty(), "{edit:?}");
        }
    }

    #[test]
    fn what_is_only_trimmed_is_known_from_an_edit() {
        let files = |text: &str, more: &str| Files::from_iter([("jobs/j.toml", text), ("jobs/k.toml", more)]);
        let old = files(WHOLE, "d = 1\n");
        assert!(only_trimmed(&old, &files(WHOLE.trim_end(), "d = 1")));
        assert!(!only_trimmed(&old, &files(WHOLE.trim_end(), "d = 2")));
        assert!(!only_trimmed(&old, &files(&format!("{WHOLE}\n"), "d = 1\n")));
        assert!(!only_trimmed(&old, &Files::from_iter([("jobs/j.toml", WHOLE)])));
    }
}
