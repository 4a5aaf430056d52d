//! Files that are cut off or damaged, through the daemon's own reading and its transaction on a real database: the active
//! revision stays, or a set that `sexton check` calls good replaces it; and nothing panics.

use std::{collections::BTreeMap, fs, path::Path};

use sexton::{
    catalog::{Catalog, Files, cut_off, only_trimmed},
    cli::check::names,
    daemon::files::{Occasion, Reading, Reloaded, Source, read, reload, take_in},
    ledger,
    settings::{Settings, Share},
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Database, open_folder};

/// The shipped files in a folder of their own, with the names of the shipped settings.
struct Copy {
    folder: tempfile::TempDir,
    source: Source,
    texts: BTreeMap<String, Vec<u8>>,
}

impl Copy {
    fn new() -> Self {
        let (here, folder) = (Path::new(env!("CARGO_MANIFEST_DIR")), open_folder("sexton-damaged-"));
        let settings = Settings::without_secrets(Some(&here.join("sexton.example.toml"))).expect("the example");
        let source = Source {
            jobs: folder.path().join("jobs"),
            schedules: folder.path().join("schedules"),
            names: names(&settings),
            default_alert: Vec::new(),
            most_removed: Share::percent(50),
            me: Uuid::now_v7(),
        };
        let mut texts = BTreeMap::new();
        for name in ["jobs", "jobs/datasets", "schedules"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
            for entry in fs::read_dir(here.join(name)).expect("shipped").flatten().filter(|e| e.path().is_file()) {
                let text = fs::read(entry.path()).expect("a file");
                texts.insert(format!("{name}/{}", entry.file_name().to_string_lossy()), text);
            }
        }
        let copy = Self { folder, source, texts };
        copy.texts.iter().for_each(|(path, text)| copy.write(path, text));
        copy
    }

    fn write(&self, path: &str, text: &[u8]) {
        fs::write(self.folder.path().join(path), text).expect("written");
    }

    async fn take(&self, pool: &PgPool, occasion: Occasion) -> (Reading, Reloaded) {
        let reading = read(&self.source).await;
        let taken = take_in(pool, &self.source, &reading, occasion, "a test").await.expect("an answer");
        (reading, taken)
    }
}

async fn revisions(pool: &PgPool) -> Vec<i64> {
    ledger::revisions(pool, 10_000).await.expect("revisions").into_iter().map(|revision| revision.id).collect()
}

/// Where a text is cut: everywhere with `SEXTON_TEST_EVERY=1`, else at, before and after each line's end, and in each line.
fn cuts(text: &[u8]) -> Vec<usize> {
    let every = std::env::var_os("SEXTON_TEST_EVERY").is_some();
    let mut numbers = Numbers(text.len() as u64);
    let (mut cuts, mut line) = (vec![0], 0);
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        cuts.extend([at.saturating_sub(1), at, at + 1, line + numbers.below(at - line)]);
        line = at + 1;
    }
    if every {
        cuts.extend(0..text.len());
    }
    cuts.retain(|at| *at < text.len());
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// The decision alone, for each and every beginning; the next test takes them through the database.
#[test]
fn every_beginning_of_a_shipped_file_is_cut_off_or_means_the_same() {
    let copy = Copy::new();
    for (path, text) in &copy.texts {
        let files = |text: &[u8]| Files::from_iter([(path.as_str(), String::from_utf8_lossy(text))]);
        let whole = files(text);
        let mut refused = 0;
        // Within a character it is no UTF-8, which the reading refuses.
        for end in (0..text.len()).filter(|end| std::str::from_utf8(&text[..*end]).is_ok()) {
            let beginning = files(&text[..end]);
            let cut = !cut_off(&whole, &beginning).is_empty();
            assert!(cut != only_trimmed(&whole, &beginning), "{path}, its first {end} bytes");
            refused += usize::from(cut);
        }
        assert!(refused * 2 > text.len(), "{path}: of {} beginnings only {refused} were refused", text.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_beginning_of_a_shipped_file_changes_the_active_revision() {
    let database = Database::new().await;
    let whole = Copy::new();
    let (_, first) = whole.take(database.pool(), Occasion::Start).await;
    let Reloaded::Applied { revision } = first else { panic!("{first:?}") };
    let every = whole.texts.clone().into_iter().map(|(path, text)| {
        let (copy, pool) = (Copy::new(), database.pool().clone());
        tokio::spawn(async move {
            for end in cuts(&text) {
                copy.write(&path, &text[..end]);
                match copy.take(&pool, Occasion::Asked).await.1 {
                    Reloaded::Kept { revision: stays, .. } if stays == revision => {}
                    // Nothing but the last line's end, or a comment, is missing.
                    Reloaded::Unchanged { revision: stays } if stays == revision => {}
                    other => panic!("{path}, its first {end} bytes: {other:?}"),
                }
            }
        })
    });
    for file in futures::future::join_all(every).await {
        file.expect("every beginning");
    }
    assert_eq!(revisions(database.pool()).await, [revision]);
}

#[tokio::test]
async fn a_beginning_is_refused_at_every_reload_with_what_is_missing_until_a_person_insists() {
    let database = Database::new().await;
    let pool = database.pool();
    let copy = Copy::new();
    reload(pool, &copy.source, Occasion::Start, "a test").await.expect("a first revision");
    let weekly = copy.texts["schedules/weekly.toml"].clone();
    let cut = String::from_utf8(weekly.clone()).expect("text").find("then").expect("a chain");
    copy.write("schedules/weekly.toml", &weekly[..cut]);
    for occasion in [Occasion::Start, Occasion::Asked] {
        let kept = reload(pool, &copy.source, occasion, "a test").await.expect("an answer");
        let Reloaded::Kept { problems, .. } = kept else { panic!("{occasion:?}: {kept:?}") };
        let said = problems[0].to_string();
        let missing = format!("the last {} of its {} bytes", weekly.len() - cut, weekly.len());
        assert!(said.starts_with("schedules/weekly.toml: is cut off") && said.contains(&missing), "{said}");
        assert!(problems[0].help.as_ref().is_some_and(|help| help.contains("sexton apply --allow-removals")));
    }
    let (_, taken) = copy.take(pool, Occasion::Insisted).await;
    assert!(matches!(taken, Reloaded::Applied { .. }), "{taken:?}");
    // And what was a revision before is whole: the addition is taken back once more.
    copy.write("schedules/weekly.toml", &weekly);
    copy.take(pool, Occasion::Asked).await;
    copy.write("schedules/weekly.toml", &weekly[..cut]);
    let (_, taken) = copy.take(pool, Occasion::Asked).await;
    assert!(matches!(taken, Reloaded::Applied { .. }), "{taken:?}");
}

/// Numbers from a seed, the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    /// One edit such as disks, editors and people make.
    fn damage(&mut self, text: &mut Vec<u8>) {
        let (one, other) = (self.below(text.len()), self.below(text.len()));
        let range = one.min(other)..one.max(other).min(one.min(other) + 40);
        match self.below(7) {
            0 if !text.is_empty() => text[one] ^= 1 << self.below(8),
            1 => text.insert(one, self.below(256) as u8),
            2 => drop(text.drain(range)),
            3 => {
                let again = text[range].to_vec();
                text.splice(one..one, again);
            }
            4 => text[range].fill(0),
            5 => text[range].fill(b' '),
            _ => text.truncate(one),
        }
    }
}

#[tokio::test]
async fn damage_keeps_the_revision_or_gives_one_that_check_calls_good() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (seed, cases) = (number("SEXTON_TEST_SEED").unwrap_or(5), number("SEXTON_TEST_CASES").unwrap_or(150));
    let database = Database::new().await;
    let pool = database.pool();
    let copy = Copy::new();
    let paths: Vec<&String> = copy.texts.keys().collect();
    copy.take(pool, Occasion::Start).await;
    let (mut numbers, mut kept, mut applied) = (Numbers(seed), 0, 0);
    for case in 0..cases {
        let path = paths[numbers.below(paths.len())];
        let mut text = copy.texts[path].clone();
        for _ in 0..=numbers.below(3) {
            numbers.damage(&mut text);
        }
        copy.write(path, &text);
        let before = revisions(pool).await[0];
        let (reading, taken) = copy.take(pool, Occasion::Asked).await;
        let told = format!("seed {seed}, case {case}, {path}: {}", String::from_utf8_lossy(&text));
        match taken {
            Reloaded::Applied { revision } => {
                applied += 1;
                let mut parsed = Catalog::parse(&reading.files);
                parsed.check_names(&copy.source.names);
                assert!(reading.problems.is_empty() && parsed.catalog.is_some() && revision > before, "{told}");
            }
            other => {
                kept += 1;
                assert_eq!((other.revision(), revisions(pool).await[0]), (before, before), "{told}");
            }
        }
        copy.write(path, &copy.texts[path]);
        copy.take(pool, Occasion::Insisted).await;
    }
    assert!(kept * 10 > cases && applied * 50 > cases, "seed {seed}: {kept} kept, {applied} applied");
}

#[tokio::test]
async fn a_file_of_nothing_but_zeros_is_told_and_kept_out() {
    let database = Database::new().await;
    let copy = Copy::new();
    reload(database.pool(), &copy.source, Occasion::Start, "a test").await.expect("a first revision");
    // What a crash may leave of a file that was being written.
    copy.write("schedules/daily.toml", &vec![0; copy.texts["schedules/daily.toml"].len()]);
    let kept = reload(database.pool(), &copy.source, Occasion::Asked, "a test").await.expect("an answer");
    assert!(matches!(kept, Reloaded::Kept { .. }), "{kept:?}");
    let stations = ledger::stations(database.pool()).await.expect("stations");
    assert_eq!(stations[0].state, ledger::FilesState::Broken);
}
