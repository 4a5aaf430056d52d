//! A wire that can be broken: a TCP proxy in front of a PostgreSQL.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
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
    /// Passes the first message of a client that contains this text; when the server has answered it, swallows the answer,
    /// ends that connection, and passes everything again: a commit whose acknowledgement is lost.
    LoseReplyTo(&'static str),
}

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
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// In front of a server's socket folder.
    pub async fn unix(socket_dir: &Path) -> Self {
        Self::start(Upstream::Unix(socket_dir.join(".s.PGSQL.5432"))).await
    }

    /// In front of any TCP server.
    pub async fn tcp(address: SocketAddr) -> Self {
        Self::start(Upstream::Tcp(address)).await
    }

    async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (wire, _) = watch::channel(Wire::Pass);
        let accepting = tokio::spawn(accept(listener, upstream, wire.clone()));
        Self { port, wire, accepting }
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

async fn accept(listener: TcpListener, upstream: Upstream, wire: watch::Sender<Wire>) {
    while let Ok((client, _)) = listener.accept().await {
        if *wire.borrow() == Wire::Cut {
            continue;
        }
        let (upstream, wire) = (upstream.clone(), wire.clone());
        tokio::spawn(async move {
            match upstream {
                Upstream::Unix(path) => {
                    if let Ok(server) = UnixStream::connect(path).await {
                        let (read, write) = server.into_split();
                        join(client, read, write, wire).await;
                    }
                }
                Upstream::Tcp(address) => {
                    if let Ok(server) = TcpStream::connect(address).await {
                        let (read, write) = server.into_split();
                        join(client, read, write, wire).await;
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
) {
    let _ = client.set_nodelay(true);
    let (mut from_client, mut to_client) = client.into_split();
    let mut changes = wire.subscribe();
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    // The reply to what this connection just said is to be lost.
    let mut doomed = false;
    loop {
        let now = changes.borrow_and_update().clone();
        if now == Wire::Cut {
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
                    doomed |= up[..count].windows(text.len()).any(|window| window == text.as_bytes());
                }
                if to_server.write_all(&up[..count]).await.is_err() {
                    return;
                }
            }
            read = from_server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if doomed {
                    wire.send_if_modified(|wire| {
                        let strikes = matches!(wire, Wire::LoseReplyTo(_));
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
