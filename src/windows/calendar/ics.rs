//! The events of an iCalendar text. Everything else in it (tasks, alarms, descriptions of time zones) is passed over;
//! zones are known by their names.

use super::{
    Busy, Calendar, Unclear,
    event::Event,
    lines::{self, Line},
    stamp::Stamp,
};

/// More stretches than this are no calendar of holidays.
const MOST: usize = 100_000;

pub(super) fn read(text: &str) -> Result<Calendar, Vec<Unclear>> {
    let (events, mut unclear) = events(text);
    let replaced: Vec<(&str, Stamp)> = events.iter().filter_map(Event::replaces).collect();
    let mut busy: Vec<Busy> = Vec::new();
    for event in &events {
        match event.busy(&replaced, MOST - busy.len()) {
            Ok(more) => busy.extend(more),
            Err(error) => unclear.push(error),
        }
        if busy.len() > MOST {
            let help = "is it the right file? what is so frequent is a window with `cron` and `lasts`";
            let why = format!("the calendar has more than {MOST} events up to the end of {}", super::LAST_YEAR);
            return Err(vec![Unclear { why, help: help.into(), at: 0..0 }]);
        }
    }
    if unclear.is_empty() { Ok(Calendar { busy }) } else { Err(unclear) }
}

/// All events, and what could not be read.
fn events(text: &str) -> (Vec<Event>, Vec<Unclear>) {
    let (mut events, mut unclear) = (Vec::new(), Vec::new());
    // The components that are open, outermost first.
    let mut open: Vec<Line> = Vec::new();
    let mut seen = false;
    for line in lines::lines(text) {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                unclear.push(error);
                continue;
            }
        };
        let inside = open.last().map(|begin| begin.value.to_ascii_uppercase());
        match (line.name.as_str(), inside.as_deref()) {
            ("BEGIN", None) if !line.value.eq_ignore_ascii_case("VCALENDAR") => {
                unclear.push(line.unclear("an iCalendar file begins with BEGIN:VCALENDAR", "is it the right file?"));
                return (events, unclear);
            }
            ("BEGIN", outer) => {
                seen = true;
                if outer == Some("VCALENDAR") && line.value.eq_ignore_ascii_case("VEVENT") {
                    events.push(Event::new(&line));
                }
                open.push(line);
            }
            ("END", Some(inner)) if line.value.eq_ignore_ascii_case(inner) => drop(open.pop()),
            ("END", Some(inner)) => {
                let why = format!("END:{} comes before the end of {inner}", line.value);
                unclear.push(line.unclear(why, "export the calendar again; the file is damaged"));
                return (events, unclear);
            }
            (_, None) => {
                unclear.push(line.unclear("an iCalendar file begins with BEGIN:VCALENDAR", "is it the right file?"));
                return (events, unclear);
            }
            // Only what stands in the event itself: an alarm in it has a length of its own.
            (_, Some("VEVENT")) => {
                if let Some(Err(error)) = events.last_mut().map(|event| event.take(line)) {
                    unclear.push(error);
                }
            }
            _ => {}
        }
    }
    if let Some(begin) = open.last() {
        let why = format!("the file is cut off: END:{} is missing", begin.value);
        unclear.push(begin.unclear(why, "export the calendar again"));
    } else if !seen {
        let help = "export the calendar again".to_owned();
        unclear.push(Unclear { why: "there is no calendar in it".into(), help, at: 0..0 });
    }
    (events, unclear)
}
