//! stand-in
use axum::{
    body::Bytes,
    extract::State,
    http::{StatusCode, Uri},
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Status(u16),
}
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: Vec<String>,
    pub subject: String,
    pub body: String,
}
#[derive(Debug, Clone)]
pub struct Post {
    pub path: String,
    pub body: Vec<u8>,
}
#[derive(Debug, Default)]
struct Seen {
    mails: Vec<Mail>,
    posts: Vec<Post>,
    answers: BTreeMap<String, Answer>,
}
#[derive(Debug)]
pub struct Inbox {
    seen: Arc<Mutex<Seen>>,
    smtp: u16,
    http: u16,
}
async fn post(State(seen): State<Arc<Mutex<Seen>>>, uri: Uri, body: Bytes) -> StatusCode {
    let mut seen = seen.lock().unwrap();
    seen.posts.push(Post { path: uri.path().into(), body: body.to_vec() });
    match seen.answers.get(uri.path()) {
        Some(Answer::Status(s)) => StatusCode::from_u16(*s).unwrap(),
        None => StatusCode::OK,
    }
}
impl Inbox {
    pub async fn start() -> io::Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let h = TcpListener::bind("127.0.0.1:0").await?;
        let s = TcpListener::bind("127.0.0.1:0").await?;
        let (http, smtp) = (h.local_addr()?.port(), s.local_addr()?.port());
        let app = axum::Router::new().fallback(post).with_state(seen.clone());
        tokio::spawn(async move {
            let _ = axum::serve(h, app).await;
        });
        let st = seen.clone();
        tokio::spawn(async move {
            while let Ok((c, _)) = s.accept().await {
                let st = st.clone();
                tokio::spawn(async move {
                    let (r, mut w) = c.into_split();
                    let mut l = BufReader::new(r).lines();
                    let _ = w.write_all(b"220 hi\r\n").await;
                    let (mut to, mut data, mut text) = (vec![], false, String::new());
                    while let Ok(Some(line)) = l.next_line().await {
                        if data {
                            if line == "." {
                                data = false;
                                let subject =
                                    text.lines().find_map(|l| l.strip_prefix("Subject: ")).unwrap_or("").to_owned();
                                st.lock().unwrap().mails.push(Mail {
                                    to: std::mem::take(&mut to),
                                    subject,
                                    body: std::mem::take(&mut text),
                                });
                                let _ = w.write_all(b"250 ok\r\n").await;
                            } else {
                                text += &line;
                                text += "\n";
                            }
                            continue;
                        }
                        let u = line.to_uppercase();
                        let reply: &[u8] = if u.starts_with("DATA") {
                            data = true;
                            b"354 go\r\n"
                        } else if u.starts_with("QUIT") {
                            b"221 bye\r\n"
                        } else {
                            if u.starts_with("RCPT") {
                                to.push(line[8..].trim_matches(|c| c == '<' || c == '>').to_owned());
                            }
                            b"250 ok\r\n"
                        };
                        let _ = w.write_all(reply).await;
                    }
                });
            }
        });
        Ok(Self { seen, smtp, http })
    }
    pub fn smtp_url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.smtp)
    }
    pub fn http_url(&self, p: &str) -> String {
        format!("http://127.0.0.1:{}{p}", self.http)
    }
    pub fn mails(&self) -> Vec<Mail> {
        self.seen.lock().unwrap().mails.clone()
    }
    pub fn posts(&self) -> Vec<Post> {
        self.seen.lock().unwrap().posts.clone()
    }
    pub fn script_http(&self, p: &str, a: [Answer; 1]) {
        self.seen.lock().unwrap().answers.insert(p.into(), a[0]);
    }
}
