//! E-mail over SMTP: one mail a message, threaded by incident, and encrypted unless the URL says otherwise.

use std::{net::IpAddr, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor,
    address::Envelope,
    message::{Mailbox, header},
    transport::smtp::{Error, authentication::Credentials},
};
use url::Url;

use super::{Sent, hidden::Hidden};
use crate::{causes::with_causes, outbox::Message, secret::Secret};

/// Mail to some people.
#[derive(Debug)]
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    hidden: Hidden,
}

/// Why a mail channel cannot be made. Never shows the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// The server's URL.
    #[error("the smtp URL cannot be used: {0}; write smtps://HOST, or smtp://HOST:PORT for STARTTLS")]
    Url(String),
    /// An address.
    #[error("`{0}` is no e-mail address")]
    Address(String),
}

impl Email {
    /// A channel through the server at `smtp`: `smtps://host`, `smtp://host:587` (STARTTLS, or no mail), `?tls=opportunistic`,
    /// or `?tls=none`; on this machine's own server `smtp://127.0.0.1:25` is plain.
    ///
    /// # Errors
    /// When the URL or an address cannot be used.
    pub fn new(smtp: &str, login: Option<(String, Secret)>, from: &str, to: &[String]) -> Result<Self, EmailError> {
        let address = |text: &str| text.parse::<Mailbox>().map_err(|_| EmailError::Address(text.to_owned()));
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&encrypted(smtp)?)
            .map_err(|error| EmailError::Url(error.to_string()))?
            .timeout(Some(Duration::from_secs(15)));
        let mut hidden = Hidden::default();
        if Url::parse(smtp).is_ok_and(|url| url.password().is_some()) {
            hidden = hidden.url(smtp);
        }
        if let Some((name, password)) = login {
            hidden = hidden.login(&name, password.reveal());
            builder = builder.credentials(Credentials::new(name, password.reveal().to_owned()));
        }
        let to = to.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
        Ok(Self { transport: builder.build(), from: address(from)?, to, hidden })
    }

    pub(super) fn hidden(&self) -> Hidden {
        self.hidden.clone()
    }

    pub(super) async fn send(&self, message: &Message) -> Sent {
        let mail = match self.mail(message) {
            Ok(mail) => mail,
            Err(error) => return Sent::Never(format!("the mail cannot be written: {error}")),
        };
        let (envelope, text) = (mail.envelope(), mail.formatted());
        match self.transport.send_raw(envelope, &text).await {
            Ok(_) => Sent::Delivered,
            Err(error) if self.to.len() > 1 && refuses_receiver(&error) => self.send_each(message, &text).await,
            Err(error) if error.is_permanent() => {
                Sent::Never(format!("the mail server refused: {}", with_causes(&error)))
            }
            Err(error) if error.is_client() && with_causes(&error).contains("STARTTLS") => Sent::Later {
                after: None,
                why: format!(
                    "{}; use smtps://, or ?tls=none where the way to the server is trusted",
                    with_causes(&error)
                ),
            },
            Err(error) => {
                Sent::Later { after: None, why: format!("the mail could not be sent: {}", with_causes(&error)) }
            }
        }
    }

    /// Sends to each receiver alone: to refuse one is to refuse the mail, but the others are to have it.
    ///
    /// Delivered where it reached somebody and nobody may take it later; those who never will are named in the log.
    async fn send_each(&self, message: &Message, text: &[u8]) -> Sent {
        let (mut reached, mut refused) = (0, Vec::new());
        for to in &self.to {
            let sent = match Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()]) {
                Ok(envelope) => self.transport.send_raw(&envelope, text).await,
                Err(error) => return Sent::Never(format!("the mail cannot be written: {error}")),
            };
            match sent {
                Ok(_) => reached += 1,
                Err(error) if error.is_permanent() => refused.push(format!("{}: {}", to.email, with_causes(&error))),
                Err(error) => {
                    return Sent::Later { after: None, why: format!("{}: {}", to.email, with_causes(&error)) };
                }
            }
        }
        let why = format!("the mail server refused {}", refused.join("; "));
        if reached == 0 {
            return Sent::Never(why);
        }
        tracing::warn!(message.id = %message.id, "a mail reached {reached} of {} receivers: {}", self.to.len(), self.hidden.hide(&why));
        Sent::Delivered
    }

    fn mail(&self, message: &Message) -> Result<Mail, lettre::error::Error> {
        let host = self.from.email.domain();
        let sign = match message.severity.as_str() {
            "problem" => "[sexton] PROBLEM:",
            "recovery" => "[sexton] RECOVERED:",
            _ => "[sexton]",
        };
        let mut mail = Mail::builder()
            .from(self.from.clone())
            .subject(one_line(&format!("{sign} {}", message.title)))
            // The same over all tries, so that a receiver can tell a repetition.
            .message_id(Some(format!("<{}@{host}>", message.id)))
            .references(format!("<{}@{host}>", message.incident))
            .in_reply_to(format!("<{}@{host}>", message.incident))
            .raw_header(raw("Auto-Submitted", "auto-generated"))
            .raw_header(raw("X-Auto-Response-Suppress", "All"))
            .header(header::ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        mail.body(body(message))
    }
}

/// Whether the refusal may be about one receiver; a refused login, say, is not tried again for each of them.
fn refuses_receiver(error: &Error) -> bool {
    matches!(error.status().map(u16::from), Some(550..=553 | 556))
}

/// The URL as lettre reads it, which takes no word for plain: mail and passwords leave this machine encrypted unless the
/// URL says `tls=none`.
fn encrypted(smtp: &str) -> Result<String, EmailError> {
    let mut url = Url::parse(smtp).map_err(|error| EmailError::Url(error.to_string()))?;
    let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    match tls.as_deref() {
        Some("none") if url.scheme() == "smtp" => url.set_query(None),
        None if url.scheme() == "smtp" && !is_here(&url) => url.set_query(Some("tls=required")),
        _ => {}
    }
    Ok(url.into())
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn raw(name: &'static str, value: &str) -> header::HeaderValue {
    header::HeaderValue::new(header::HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Nothing that comes from outside may begin another header.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn body(message: &Message) -> String {
    let mut text = message.lines.join("\n");
    if let Some(help) = &message.help {
        text.push_str(&format!("\n\nWhat to do: {help}"));
    }
    if let Some(next) = &message.next {
        text.push_str(&format!("\n\n    {next}"));
    }
    text.push_str(&format!(
        "\n\n-- \nsexton, {}\nmessage {}\n",
        message.at.format("%Y-%m-%d %H:%M:%S UTC"),
        message.id
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_leaves_the_machine_in_the_open_only_where_the_url_says_so() {
        for (written, read) in [
            ("smtps://mail.example.org", "smtps://mail.example.org"),
            ("smtp://me:p%40ss@mail.example.org:587", "smtp://me:p%40ss@mail.example.org:587?tls=required"),
            ("smtp://mail?tls=opportunistic", "smtp://mail?tls=opportunistic"),
            ("smtp://relay:25?tls=none", "smtp://relay:25"),
            ("smtp://127.0.0.1:2525", "smtp://127.0.0.1:2525"),
            ("smtp://[::1]:25", "smtp://[::1]:25"),
            ("smtp://localhost", "smtp://localhost"),
            ("smtp://localhost.example.org", "smtp://localhost.example.org?tls=required"),
        ] {
            assert_eq!(encrypted(written).expect("a URL"), read);
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_not_shown() {
        let broken = Email::new("smtp://me:hunter2@mail:port", None, "a@b.c", &[]).expect_err("no port").to_string();
        assert!(broken.contains("write smtps://HOST") && !broken.contains("hunter2"), "{broken}");
    }
}
