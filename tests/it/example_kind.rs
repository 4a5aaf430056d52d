//! Waits: for trying out schedules and alerts.

use schemars::JsonSchema;
use serde::Deserialize;

use sexton::kinds::{Broken, Ctx, Kind, Uses};
use sexton::{
    outcome::{Outcome, Report},
    span::Span,
    state::OnLost,
};

/// `[wait]` in a job file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long.
    pub length: Span,
}

impl Kind for Wait {
    const NAME: &'static str = "wait";
    const ABOUT: &'static str = "Waits for a while";
    const ON_LOST: OnLost = OnLost::Retry;

    fn uses(&self) -> Uses {
        Uses::default()
    }

    async fn run(self, ctx: Ctx) -> Result<Outcome, Broken> {
        tokio::select! {
            () = tokio::time::sleep(self.length.0) => Ok(Outcome::Done(Report::new())),
            () = ctx.stop.cancelled() => Err(Broken::Stopped),
        }
    }
}
