//! How far a run is, in words for people.

use std::time::Duration;

use crate::{queue::Run, span::Span};

/// `12000 of 50000 rows, 850/s, about 45s left: waiting…`; `None` for a run that never said.
pub(super) fn far(run: &Run) -> Option<String> {
    let done = run.progress_done?;
    let unit = run.progress_unit.as_deref().unwrap_or("");
    let mut text = match run.progress_total {
        Some(total) => format!("{done} of {total} {unit}"),
        None => format!("{done} {unit}"),
    };
    if let Some(rate) = run.progress_rate {
        // One digit is enough where a whole number says too little.
        text += &if rate < 10.0 { format!(", {rate:.1}/s") } else { format!(", {rate:.0}/s") };
    }
    if let Some(seconds) = run.progress_seconds_left {
        text += &format!(", about {} left", rough(seconds));
    }
    if let Some(note) = &run.progress_note {
        text += &format!(": {note}");
    }
    Some(text)
}

/// `paused by alice: month end`; `None` for a run that is not paused.
pub(super) fn paused(run: &Run) -> Option<String> {
    run.pause_requested_at?;
    let by = run.pause_by.as_deref().unwrap_or("somebody");
    Some(match run.pause_why.as_deref().filter(|why| !why.is_empty()) {
        Some(why) => format!("paused by {by}: {why}"),
        None => format!("paused by {by}"),
    })
}

/// Seconds as two digits of what matters: nobody plans by the 17 seconds of 3 hours.
fn rough(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let unit = match whole {
        0..=119 => 1,
        120..=7_199 => 60,
        _ => 3_600,
    };
    match (whole + unit / 2) / unit * unit {
        0 => "0s".to_owned(),
        rounded => Span(Duration::from_secs(rounded)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::rough;

    #[test]
    fn a_forecast_is_as_exact_as_it_can_be() {
        assert_eq!(rough(0.0), "0s");
        assert_eq!(rough(45.4), "45s");
        assert_eq!(rough(150.0), "3m");
        assert_eq!(rough(9_000.0), "3h");
    }
}
