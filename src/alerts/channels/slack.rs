//! Slack's incoming webhooks: blocks for eyes, `text` for notifications.
//!
//! Limits (Slack's documentation and its users' findings): 150 characters in a header, 3,000 in a section.

use serde_json::{Value, json};

use super::{Sent, judge};
use crate::{outbox::Message, secret::Secret};

/// A Slack incoming webhook.
#[derive(Debug)]
pub struct Slack {
    /// For requests; follows no redirects.
    pub http: reqwest::Client,
    /// The webhook's URL, which is its secret.
    pub webhook_url: Secret,
}

impl Slack {
    pub(super) async fn send(&self, message: &Message) -> Sent {
        judge(self.http.post(self.webhook_url.reveal()).json(&body(message)).send().await).await
    }
}

fn body(message: &Message) -> Value {
    let sign = match message.severity.as_str() {
        "problem" => ":red_circle:",
        "recovery" => ":large_green_circle:",
        _ => ":information_source:",
    };
    // Sections of their own: however long the facts are, what to do is never cut off.
    let facts = escape(&message.lines.join("\n"));
    let help = message.help.iter().map(|help| format!("*What to do:* {}", escape(help)));
    let next = message.next.iter().map(|next| format!("`{}`", escape(next)));
    let to_do = help.chain(next).collect::<Vec<_>>().join("\n");
    let title = format!("{sign} {}", message.title);
    let mut blocks =
        vec![json!({"type": "header", "text": {"type": "plain_text", "text": cut(&title, 150), "emoji": true}})];
    for text in [facts, to_do].iter().filter(|text| !text.is_empty()) {
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": cut(text, 3_000)}}));
    }
    let foot = format!("sexton · {} · {}", message.at.format("%Y-%m-%d %H:%M:%S UTC"), message.id);
    blocks.push(json!({"type": "context", "elements": [{"type": "plain_text", "text": foot}]}));
    json!({"text": cut(&format!("{sign} {}", escape(&message.title)), 3_000), "blocks": blocks})
}

/// Slack's three control characters.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(most - 1).collect();
    // Half an escape would be shown as it is.
    if let Some(at) = kept.rfind('&').filter(|at| kept.len() - at < 5 && !kept[*at..].contains(';')) {
        kept.truncate(at);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_long_message_keeps_slacks_limits_and_is_escaped() {
        let message = Message {
            id: Uuid::nil(),
            incident: Uuid::nil(),
            severity: "problem".into(),
            title: "x".repeat(200),
            lines: vec!["a < b & c > d".into(), "y".repeat(4_000)],
            help: Some("look".into()),
            next: Some("sexton runs show 1".into()),
            event: "failed".into(),
            subject: "j".into(),
            run: None,
            at: DateTime::UNIX_EPOCH,
        };
        let body = body(&message);
        let part = |path: &str| body.pointer(path).and_then(Value::as_str).expect(path).to_owned();
        assert_eq!(part("/blocks/0/text/text").chars().count(), 150);
        let section = part("/blocks/1/text/text");
        assert_eq!(section.chars().count(), 3_000);
        assert!(section.starts_with("a &lt; b &amp; c &gt; d\n"));
        assert_eq!(part("/blocks/2/text/text"), "*What to do:* look\n`sexton runs show 1`");
    }

    #[test]
    fn no_escape_is_cut_in_half() {
        let escaped = escape(&"<".repeat(10));
        assert_eq!(cut(&escaped, 8), "&lt;…");
        assert_eq!(cut(&escaped, 9), "&lt;&lt;…");
        assert_eq!(cut("Q & A and more", 8), "Q & A a…");
        assert_eq!(cut("short", 5), "short");
    }
}
