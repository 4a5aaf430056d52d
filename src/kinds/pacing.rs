//! How moving work is paced: it waits between steps while the database is under pressure, rests its share of the time,
//! is refused when it would take too much at once, and vacuums after itself.

use std::time::{Duration, Instant};

use super::{
    Broken, Ctx, Finding,
    moving::{error, patiently},
};
use crate::{
    dataset::{self, Brake, Counts, Definition, Order, Side, Throttle, Totals, Verdict},
    outcome::{Failure, Report},
};

/// What one look may take, by our clock.
const LOOK: Duration = Duration::from_secs(60);
/// The longest rest after one step.
const REST: Duration = Duration::from_secs(60);
/// The share of a table that one run may take where its job says nothing.
const FRACTION: f64 = 0.5;
/// So many rows may always be taken where its job says nothing: most of a small table is soon taken, and soon seen.
const FEW: u64 = 10_000;

/// What is wrong with a throttle.
pub(super) fn throttle_findings(throttle: &Throttle) -> Vec<Finding> {
    throttle.problems().into_iter().map(|problem| error("throttle", problem.message, problem.help)).collect()
}

/// What is wrong with a share of a table.
pub(super) fn fraction_finding(fraction: f64) -> Option<Finding> {
    let wrong = !(fraction > 0.0 && fraction <= 1.0);
    wrong.then(|| error("max_fraction", format!("{fraction} is no share of a table"), "write more than 0, at most 1.0"))
}

/// Lets steps begin when they may.
pub(super) struct Pacer<'a> {
    ctx: &'a Ctx,
    target: &'a str,
    brake: Brake,
    every: Duration,
    share: f64,
    throttled: Duration,
    rested: Duration,
    /// When the step that is being taken began.
    since: Option<Instant>,
}

impl<'a> Pacer<'a> {
    /// Looks once, so that a missing privilege or a wrong query is found before a row moves.
    pub(super) async fn new(ctx: &'a Ctx, target: &'a str, throttle: &Throttle) -> Result<Self, Broken> {
        let mut brake = Brake::new(ctx.target(target)?.pool(), throttle);
        patiently(ctx, target, LOOK, brake.look()).await?;
        Ok(Self {
            ctx,
            target,
            brake,
            every: throttle.every.0,
            share: throttle.share.unwrap_or(1.0),
            throttled: Duration::ZERO,
            rested: Duration::ZERO,
            since: None,
        })
    }

    /// Waits until the next step may begin, holding no transaction; `say` is told why it waits, and when it goes on.
    pub(super) async fn clear(&mut self, say: impl Fn(Option<&str>)) -> Result<(), Broken> {
        say(None);
        self.ctx.go_on()?;
        if let Some(rest) =
            self.since.take().map(|since| rest(since.elapsed(), self.share)).filter(|rest| !rest.is_zero())
        {
            self.rested += self.sleep(rest).await?;
        }
        let mut waits = false;
        while let Verdict::Wait { why } = patiently(self.ctx, self.target, LOOK, self.brake.look()).await? {
            if !waits {
                tracing::info!("waiting: {why}");
            }
            waits = true;
            say(Some(&format!("waiting: {why}")));
            self.throttled += self.sleep(self.every).await?;
        }
        if waits {
            say(None);
        }
        self.since = Some(Instant::now());
        Ok(())
    }

    /// Sleeps so long, but not past a stop; gives how long it was.
    async fn sleep(&self, time: Duration) -> Result<Duration, Broken> {
        let begun = Instant::now();
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(begun.elapsed()),
            () = self.ctx.stop.cancelled() => Err(Broken::Stopped),
        }
    }

    /// How long it waited (of this attempt).
    pub(super) fn report(&self, report: &mut Report) {
        report.set("throttled_seconds", rounded(self.throttled));
        if self.share < 1.0 {
            report.set("rested_seconds", rounded(self.rested));
        }
    }
}

/// Vacuums what many rows have left, and reports it. The rows have moved, so nothing here fails the run.
pub(super) async fn vacuum(
    ctx: &Ctx,
    target: &str,
    definition: &Definition,
    order: &Order,
    counts: &Counts,
    say: impl Fn(&str),
    report: &mut Report,
) {
    let Ok(there) = ctx.target(target) else { return };
    let begun = Instant::now();
    let done = match dataset::vacuum(there.pool(), definition, order, counts, &ctx.stop, say).await {
        Ok(done) => done,
        Err(error) => {
            tracing::warn!("target `{target}` is left to autovacuum: {error}");
            report.set("vacuum_notes", format!("left to autovacuum: {error}"));
            return;
        }
    };
    if !done.tables.is_empty() {
        report.set("vacuumed", done.tables.join(", "));
        report.set("space_reusable_bytes", done.reusable);
        report.set("space_returned_bytes", done.returned);
        report.set("vacuum_seconds", rounded(begun.elapsed()));
    }
    if !done.analyzed.is_empty() {
        report.set("analyzed", done.analyzed.join(", "));
    }
    if !done.notes.is_empty() {
        report.set("vacuum_notes", done.notes.join("\n"));
    }
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// How long to rest after a step so that work takes no more than its share of the time.
fn rest(step: Duration, share: f64) -> Duration {
    step.mul_f64((1.0 / share.clamp(0.01, 1.0)) - 1.0).min(REST)
}

/// Why a run would take too much at once, if it would.
pub(super) fn too_much(order: &Order, found: &Totals, fraction: Option<f64>) -> Option<(String, String)> {
    let (all, place) = match order.from {
        Side::Main => (found.sizes.main, "the table"),
        Side::Archive => (found.sizes.archive, "the archive"),
    };
    let rows = order.max_rows.map_or(found.eligible, |most| most.min(found.eligible));
    if fraction.is_none() && rows <= FEW {
        return None;
    }
    let fraction = fraction.unwrap_or(FRACTION);
    if rows as f64 <= all as f64 * fraction {
        return None;
    }
    let percent = |part: f64| format!("{:.1}", part * 100.0).trim_end_matches(".0").to_owned();
    let taken = percent(rows as f64 / all.max(1) as f64);
    let why = format!(
        "it would take {rows} of {all} rows ({taken} %) out of {place} at once, and `max_fraction` allows {} %",
        percent(fraction)
    );
    let help = format!(
        "if that is meant, write max_fraction = {} in the job, or take less at once with max_rows = {}",
        allows(rows as f64 / all.max(1) as f64),
        (all as f64 * fraction) as u64
    );
    Some((why, help))
}

/// The smallest share with two digits that allows this one.
fn allows(share: f64) -> String {
    format!("{:?}", ((share * 100.0).ceil() / 100.0).min(1.0))
}

/// Refuses a run that would take too much at once.
pub(super) fn guard(order: &Order, found: &Totals, fraction: Option<f64>) -> Result<(), Failure> {
    match too_much(order, found, fraction) {
        Some((why, help)) => Err(Failure::never(why).help(help)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Disposal, Select, Sizes};

    #[test]
    fn a_rest_is_in_proportion_to_the_step() {
        let s = Duration::from_secs;
        assert_eq!(rest(s(2), 1.0), Duration::ZERO);
        assert_eq!(rest(s(2), 0.5), s(2));
        assert_eq!(rest(s(1), 0.2), s(4));
        assert_eq!(rest(s(30), 0.1), REST);
    }

    #[test]
    fn a_run_that_would_take_too_much_says_the_numbers_and_how_to_allow_it() {
        let order = |max_rows| Order {
            from: Side::Main,
            disposal: Disposal::Archive,
            select: Select::Old("365d".parse().expect("a span")),
            keep_critical: true,
            keep_open: true,
            max_rows,
            by: String::new(),
            reason: String::new(),
        };
        let found = Totals { eligible: 4_105, sizes: Sizes { main: 5_000, ..Sizes::default() }, ..Totals::default() };
        let (why, help) = too_much(&order(None), &found, Some(0.5)).expect("refused");
        assert_eq!(
            why,
            "it would take 4105 of 5000 rows (82.1 %) out of the table at once, and `max_fraction` allows 50 %"
        );
        assert_eq!(
            help,
            "if that is meant, write max_fraction = 0.83 in the job, or take less at once with max_rows = 2500"
        );
        assert_eq!(too_much(&order(Some(2_500)), &found, Some(0.5)), None);
        assert_eq!(too_much(&order(None), &found, Some(0.83)), None);
        assert_eq!(too_much(&order(None), &Totals::default(), Some(0.5)), None, "nothing of nothing");
        // Where the job says nothing, half of the table is the most, but for few rows.
        assert_eq!(too_much(&order(None), &found, None), None);
        let found = Totals { eligible: 41_050, sizes: Sizes { main: 50_000, ..Sizes::default() }, ..Totals::default() };
        assert!(too_much(&order(None), &found, None).is_some());
        assert_eq!(too_much(&order(Some(25_000)), &found, None), None);
    }
}
