//! Claims about chains: which links start, when, and why others do not.

use super::*;

fn link(job: &str, after: &[&str], on: On) -> Link {
    Link { job: job.to_owned(), after: after.iter().map(|job| (*job).to_owned()).collect(), on }
}

fn over(end: Final) -> End {
    End::Over(end)
}

#[test]
fn a_line_stops_where_one_is_not_done_and_says_why() {
    let line = [link("b", &["a"], On::Success), link("c", &["b"], On::Success), link("d", &["c"], On::Always)];
    let told = |ends: &[(&'static str, End)]| stands(&line, &ends.iter().copied().collect());
    let waits = |job: &str| Stand::Waits(vec![job.to_owned()]);
    let never = |why: &str| Stand::Never(why.to_owned());
    assert_eq!(told(&[("a", End::Live)]), [waits("a"), waits("b"), waits("c")]);
    assert_eq!(told(&[("a", over(Final::Done))]), [Stand::Start, waits("b"), waits("c")]);
    assert_eq!(told(&[("a", over(Final::Done)), ("b", End::Live)]), [Stand::Started, waits("b"), waits("c")]);
    for (end, why) in
        [(Final::Failed, "a failed"), (Final::Skipped, "a was skipped"), (Final::Cancelled, "a was cancelled")]
    {
        assert_eq!(told(&[("a", over(end))]), [never(why), never("b did not run"), Stand::Start]);
    }
    // A person has the failed one tried again: what had started is not started again.
    assert_eq!(told(&[("a", over(Final::Done)), ("d", over(Final::Done))]), [Stand::Start, waits("b"), Stand::Started]);
}

#[test]
fn a_failure_is_what_failed_for_good_and_no_cancel() {
    let fork = [link("undo", &["a", "b"], On::Failure)];
    let told = |a, b| stands(&fork, &BTreeMap::from([("a", a), ("b", b)])).remove(0);
    assert_eq!(told(over(Final::Failed), End::Live), Stand::Waits(vec!["b".to_owned()]));
    assert_eq!(told(over(Final::Failed), over(Final::Done)), Stand::Start);
    assert_eq!(told(over(Final::Cancelled), over(Final::Done)), Stand::Never("a, b did not fail".to_owned()));
}

#[test]
fn what_the_history_has_lost_and_what_waits_for_itself_start_nothing() {
    let lost = [link("c", &["gone"], On::Success), link("x", &["y"], On::Always), link("y", &["x"], On::Always)];
    let told = stands(&lost, &BTreeMap::from([("a", over(Final::Done))]));
    assert_eq!(told[0], Stand::Never("nothing is known of gone any more".to_owned()));
    assert_eq!(
        told[1..],
        [Stand::Never("it waits for itself".to_owned()), Stand::Never("it waits for itself".to_owned())]
    );
}

#[test]
fn a_snapshot_of_an_older_binary_is_a_line() {
    let spec = |job: &str| {
        serde_json::from_value::<Spec>(serde_json::json!({
            "format": 1, "job": job, "kind": "wait", "table": {}, "on_lost": "retry", "lease": "45s",
            "retry": { "attempts": 1, "first": "1s", "most": "1s" },
        }))
        .expect("a snapshot")
    };
    let read = links("a", &[spec("b"), spec("c")]);
    assert_eq!(read, [link("b", &["a"], On::Success), link("c", &["b"], On::Success)]);
}

/// A small generator of numbers, so that a chain that breaks a claim can be made again from its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Whether a job of the chain runs, told from the ends that are fixed for those that do: the claim in its plainest form.
fn runs(job: &str, links: &[Link], ends: &BTreeMap<&str, Final>) -> bool {
    let Some(link) = links.iter().find(|link| link.job == job) else { return true };
    let end = |job: &String| runs(job, links, ends).then(|| ends[job.as_str()]);
    match link.on {
        On::Always => true,
        On::Success => link.after.iter().all(|job| end(job) == Some(Final::Done)),
        On::Failure => link.after.iter().any(|job| end(job) == Some(Final::Failed)),
    }
}

/// Random chains, whose runs end in random order: in the end exactly those have run that should, each once and after
/// everything before it.
#[test]
fn whatever_ends_first_the_same_links_start_once_each_and_in_their_order() {
    for seed in 1..3000_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let count = 2 + dice.below(NAMES.len() - 1);
        let mut links: Vec<Link> = (1..count)
            .map(|n| {
                let after: BTreeSet<&str> = (0..=dice.below(3)).map(|_| NAMES[dice.below(n)]).collect();
                let on = [On::Success, On::Success, On::Failure, On::Always][dice.below(4)];
                link(NAMES[n], &after.into_iter().collect::<Vec<_>>(), on)
            })
            .collect();
        // The order in which they are written means nothing.
        links.rotate_left(dice.below(count));
        let all = [Final::Done, Final::Done, Final::Done, Final::Failed, Final::Skipped, Final::Cancelled];
        let ends: BTreeMap<&str, Final> = NAMES[..count].iter().map(|name| (*name, all[dice.below(6)])).collect();

        let mut chain = BTreeMap::from([("a", End::Live)]);
        loop {
            let live: Vec<_> = chain.iter().filter(|(_, end)| **end == End::Live).map(|(job, _)| *job).collect();
            if live.is_empty() {
                break;
            }
            let job = live[dice.below(live.len())];
            chain.insert(job, End::Over(ends[job]));
            let down = downstream(job, &links);
            let stands = stands(&links, &chain);
            for (link, stand) in links.iter().zip(stands).filter(|(_, stand)| *stand == Stand::Start) {
                assert!(down.contains(link.job.as_str()), "seed {seed}: {} started by the end of {job}", link.job);
                let before = link.after.iter().filter_map(|job| chain.get(job.as_str()));
                assert!(
                    before.into_iter().all(|end| *end != End::Live),
                    "seed {seed}: {} is early: {stand:?}",
                    link.job
                );
                let name = NAMES.into_iter().find(|name| *name == link.job).expect("a name");
                assert!(chain.insert(name, End::Live).is_none(), "seed {seed}: {name} twice");
            }
        }
        let ran: Vec<&str> = chain.into_keys().collect();
        let should: Vec<&str> = NAMES[..count].iter().copied().filter(|job| runs(job, &links, &ends)).collect();
        assert_eq!(ran, should, "seed {seed}: {links:?} {ends:?}");
    }
}
