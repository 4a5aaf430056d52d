//! The mail server: the part of RFC 5321 that a client needs to hand over a mail.

use std::{io, sync::Arc, time::Duration};

use chrono::Utc;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Mail, Shared, mime};

/// The longest line, and the largest mail, that is taken.
const LINE: u64 = 64 << 10;
const MAIL: usize = 4 << 20;

/// How a mail is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Takes it.
    Take,
    /// Refuses it, once it is there, with this code: 451 means later, 550 never.
    Refuse(u16),
    /// Refuses its receiver with this code.
    RefuseReceiver(u16),
    /// Refuses the login, and repeats it in the answer, as careless servers do.
    RefuseLogin,
    /// Never says whether it was taken.
    Hang,
    /// Takes it, and closes the connection before it says so.
    Close,
}

/// Takes mails until the inbox ends.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { sessions.spawn(session(stream, shared.clone())); }
                // Out of file descriptors, say; it passes.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// One connection; ends with an error where the client broke off.
async fn session(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut wire = BufReader::new(stream);
    let mut reply = None;
    let (mut from, mut to) = (None, Vec::new());
    say(&mut wire, "220 the local inbox").await?;
    while let Some(line) = read(&mut wire).await? {
        let (verb, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => say(&mut wire, "250-the local inbox\r\n250-8BITMIME\r\n250 AUTH PLAIN").await?,
            "HELO" | "NOOP" => say(&mut wire, "250 yes").await?,
            "AUTH" => match *reply.get_or_insert_with(|| shared.reply()) {
                Reply::RefuseLogin => {
                    reply = None;
                    say(&mut wire, &format!("535 5.7.8 this login is refused: {rest}")).await?;
                }
                _ => say(&mut wire, "235 welcome").await?,
            },
            "MAIL" => {
                reply.get_or_insert_with(|| shared.reply());
                (from, to) = (Some(address(rest)), Vec::new());
                say(&mut wire, "250 yes").await?;
            }
            "RCPT" if from.is_some() => {
                if let Some(Reply::RefuseReceiver(code)) = reply {
                    reply = None;
                    say(&mut wire, &format!("{code} no such receiver: {}", address(rest))).await?;
                } else {
                    to.push(address(rest));
                    say(&mut wire, "250 yes").await?;
                }
            }
            "DATA" if !to.is_empty() => {
                say(&mut wire, "354 end with a dot").await?;
                let Some(text) = read_mail(&mut wire).await? else { return Ok(()) };
                let (headers, body) = mime::parse(&text);
                let subject = headers.get("subject").cloned().unwrap_or_default();
                let sender = from.take().unwrap_or_default();
                let mail = Mail { from: sender, to: std::mem::take(&mut to), subject, headers, body, at: Utc::now() };
                match reply.take().unwrap_or(Reply::Take) {
                    Reply::Refuse(code) => say(&mut wire, &format!("{code} not this mail")).await?,
                    Reply::Hang => shared.stop.cancelled().await,
                    Reply::Close => {
                        shared.seen.send_modify(|seen| seen.mails.push(mail));
                        return Ok(());
                    }
                    Reply::Take | Reply::RefuseReceiver(_) | Reply::RefuseLogin => {
                        shared.seen.send_modify(|seen| seen.mails.push(mail));
                        say(&mut wire, "250 taken").await?;
                    }
                }
            }
            "RCPT" | "DATA" => say(&mut wire, "503 first MAIL, then RCPT, then DATA").await?,
            "RSET" => {
                (from, to, reply) = (None, Vec::new(), None);
                say(&mut wire, "250 yes").await?;
            }
            "QUIT" => return say(&mut wire, "221 bye").await,
            _ => say(&mut wire, "502 unknown here").await?,
        }
    }
    Ok(())
}

async fn say(wire: &mut BufReader<TcpStream>, text: &str) -> io::Result<()> {
    wire.get_mut().write_all(format!("{text}\r\n").as_bytes()).await
}

/// A line without its end; `None` where the client has gone.
async fn read(wire: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    (&mut *wire).take(LINE).read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    line.pop_if(|end| *end == b'\r');
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// The lines up to the dot, without the dots that were put before dots.
async fn read_mail(wire: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut text = String::new();
    while let Some(line) = read(wire).await? {
        if line == "." {
            return Ok(Some(text));
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
        if text.len() > MAIL {
            return Ok(None);
        }
    }
    Ok(None)
}

/// `FROM:<a@b> BODY=8BITMIME` → `a@b`.
fn address(text: &str) -> String {
    let inside = text.split_once('<').map_or(text, |(_, after)| after);
    inside.split_once('>').map_or(inside, |(before, _)| before).trim().to_owned()
}
