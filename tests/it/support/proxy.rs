//! A wire that can be broken: a TCP proxy in front of a PostgreSQL.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// What the wire does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wire {
    /// Passes everything.
    Pass,
    /// Ends every connection at once, also new ones.
    Cut,
    /// Takes everything and passes nothing, in both directions; connections stay open.
    Blackhole,
    /// Passes what the client says, and swallows what the server answers.
    Mute,
    /// Passes what the client says, and holds back what the server answers until it passes again.
    Hold,
    /// Passes the first message of a client that contains this text; when the server has answered it, swallows the answer,
    /// ends that connection, and passes everything again: a commit whose acknowledgement is lost.
    LoseReplyTo(&'static str),
    /// Swallows the next answer of the server to anything, ends that connection, and passes everything again.
    LoseReply,
    /// The same with the next answer that says that a transaction is committed, on a connection that counts
    /// ([`Proxy::unix_marking`]).
    LoseCommit,
}

/// What a server says once a transaction is committed: CommandComplete.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// Where the proxy leads.
#[derive(Debug, Clone)]
enum Upstream {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A proxy on a port of its own on the loopback; ends with the test.
pub struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

/// What the wire's owner wants to know of its connections.
#[derive(Default)]
struct Seen {
    /// What a client says whose commits are worth losing; any client's are, if empty.
    mark: &'static str,
    /// Open connections that were cut.
    cut: AtomicUsize,
    /// Answers that were lost, and how many of them said that a transaction is committed.
    lost: AtomicUsize,
    lost_commits: AtomicUsize,
}

impl Proxy {
    /// In front of a server's socket folder.
    pub async fn unix(socket_dir: &Path) -> Self {
        Self::unix_marking(socket_dir, "").await
    }

    /// The same, where [`Wire::LoseCommit`] strikes only clients that have said `mark`: planners, say.
    pub async fn unix_marking(socket_dir: &Path, mark: &'static str) -> Self {
        Self::start(Upstream::Unix(socket_dir.join(".s.PGSQL.5432")), mark).await
    }

    /// In front of any TCP server.
    pub async fn tcp(address: SocketAddr) -> Self {
        Self::start(Upstream::Tcp(address), "").await
    }

    async fn start(upstream: Upstream, mark: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (wire, _) = watch::channel(Wire::Pass);
        let seen = Arc::new(Seen { mark, ..Seen::default() });
        let accepting = tokio::spawn(accept(listener, upstream, wire.clone(), Arc::clone(&seen)));
        Self { port, wire, seen, accepting }
    }

    /// The URL of a database through the proxy; the server sees the user of the test process.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://sexton@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what the wire does, at once, for every connection.
    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// What the wire does now: a [`Wire::LoseReply`] that has struck passes again.
    pub fn wire(&self) -> Wire {
        self.wire.borrow().clone()
    }

    /// How many connections were cut, of those that were open.
    pub fn cut(&self) -> usize {
        self.seen.cut.load(Ordering::Relaxed)
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.seen.lost.load(Ordering::Relaxed)
    }

    /// How many of those said that a transaction is committed.
    pub fn lost_commits(&self) -> usize {
        self.seen.lost_commits.load(Ordering::Relaxed)
    }

    /// Ends all present connections; new ones pass.
    pub async fn cut_once(&self) {
        self.set(Wire::Cut);
        // Each connection's task holds a receiver until it has ended.
        while self.wire.receiver_count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        self.set(Wire::Pass);
    }

    /// Waits until a [`Wire::LoseReplyTo`] has struck.
    pub async fn struck(&self) {
        let mut wire = self.wire.subscribe();
        let waiting = wire.wait_for(|wire| *wire == Wire::Pass);
        tokio::time::timeout(super::BOUND, waiting).await.expect("the text came by").expect("a wire");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.wire.send_replace(Wire::Cut);
    }
}

async fn accept(listener: TcpListener, upstream: Upstream, wire: watch::Sender<Wire>, seen: Arc<Seen>) {
    while let Ok((client, _)) = listener.accept().await {
        if *wire.borrow() == Wire::Cut {
            continue;
        }
        let (upstream, wire, seen) = (upstream.clone(), wire.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            match upstream {
                Upstream::Unix(path) => {
                    if let Ok(server) = UnixStream::connect(path).await {
                        let (read, write) = server.into_split();
                        join(client, read, write, wire, &seen).await;
                    }
                }
                Upstream::Tcp(address) => {
                    if let Ok(server) = TcpStream::connect(address).await {
                        let (read, write) = server.into_split();
                        join(client, read, write, wire, &seen).await;
                    }
                }
            }
        });
    }
}

/// Passes bytes both ways until either side or the wire ends.
async fn join(
    client: TcpStream,
    mut from_server: impl AsyncRead + Unpin,
    mut to_server: impl AsyncWrite + Unpin,
    wire: watch::Sender<Wire>,
    seen: &Seen,
) {
    let _ = client.set_nodelay(true);
    let (mut from_client, mut to_client) = client.into_split();
    let mut changes = wire.subscribe();
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    // The reply to what this connection just said is to be lost.
    let mut doomed = false;
    let mut marked = seen.mark.is_empty();
    loop {
        let now = changes.borrow_and_update().clone();
        if now == Wire::Cut {
            seen.cut.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            read = from_client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                if now == Wire::Blackhole {
                    continue;
                }
                if let Wire::LoseReplyTo(text) = now {
                    doomed |= has(&up[..count], text.as_bytes());
                }
                marked = marked || has(&up[..count], seen.mark.as_bytes());
                if to_server.write_all(&up[..count]).await.is_err() {
                    return;
                }
            }
            read = from_server.read(&mut down), if now != Wire::Hold => {
                let Ok(count @ 1..) = read else { return };
                let lost = now == Wire::LoseReply || now == Wire::LoseCommit && marked && has(&down[..count], COMMITTED);
                if doomed || lost {
                    seen.lost.fetch_add(1, Ordering::Relaxed);
                    if has(&down[..count], COMMITTED) {
                        seen.lost_commits.fetch_add(1, Ordering::Relaxed);
                    }
                    wire.send_if_modified(|wire| {
                        let strikes = matches!(wire, Wire::LoseReplyTo(_) | Wire::LoseReply | Wire::LoseCommit);
                        if strikes { *wire = Wire::Pass; }
                        strikes
                    });
                    return;
                }
                if matches!(now, Wire::Blackhole | Wire::Mute) {
                    continue;
                }
                if to_client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
