//! A wire between two programs that a test can cut, mend and clog.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Through,
    /// Connections end, and new ones too.
    Cut,
    /// Connections stand, and nothing goes through.
    Clogged,
}

/// What it is like.
#[derive(Clone, Copy, Default)]
struct Kind {
    /// Of the far end, in bytes.
    receive_buffer: Option<u32>,
    /// There, in bytes a second.
    rate: Option<u32>,
}

/// Bytes that are carried at once.
const CHUNK: usize = 64 * 1024;

/// The wire. Dropped, it is cut.
pub struct Wire {
    pub addr: SocketAddr,
    state: watch::Sender<State>,
}

impl Wire {
    /// A wire to this address.
    pub async fn to(end: SocketAddr) -> Self {
        Self::with(end, Kind::default()).await
    }

    /// A wire through which only so many bytes go there in a second.
    pub async fn slow(end: SocketAddr, bytes: u32) -> Self {
        let rate = Some(bytes);
        Self::with(
            end,
            Kind {
                rate,
                ..Kind::default()
            },
        )
        .await
    }

    /// A wire that takes only about so many bytes from there that nobody has read yet.
    pub async fn narrow(end: SocketAddr, bytes: u32) -> Self {
        let receive_buffer = Some(bytes);
        Self::with(
            end,
            Kind {
                receive_buffer,
                ..Kind::default()
            },
        )
        .await
    }

    async fn with(end: SocketAddr, kind: Kind) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if kind.rate.is_some() {
            // What waits here has not gone through.
            socket.set_recv_buffer_size(CHUNK as u32).unwrap();
        }
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        let addr = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(State::Through);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, end, kind, watched.clone()));
            }
        });
        Self { addr, state }
    }

    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    pub fn clog(&self) {
        self.state.send_replace(State::Clogged);
    }

    pub fn mend(&self) {
        self.state.send_replace(State::Through);
    }
}

async fn carry(near: TcpStream, end: SocketAddr, kind: Kind, mut state: watch::Receiver<State>) {
    if *state.borrow_and_update() == State::Cut {
        return;
    }
    let far = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = kind.receive_buffer {
        far.set_recv_buffer_size(bytes).unwrap();
    }
    let Ok(far) = far.connect(end).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let cut = state.clone();
    tokio::select! {
        () = pass(near_read, far_write, kind.rate, state.clone()) => {}
        () = pass(far_read, near_write, None, state) => {}
        () = until(cut, |state| state == State::Cut) => {}
    }
}

async fn until(mut state: watch::Receiver<State>, fits: impl Fn(State) -> bool) {
    if state.wait_for(|state| fits(*state)).await.is_err() {
        // The wire is gone.
        tokio::time::sleep(Duration::ZERO).await;
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    rate: Option<u32>,
    state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        until(state.clone(), |state| state != State::Clogged).await;
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                until(state.clone(), |state| state != State::Clogged).await;
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
                if let Some(rate) = rate {
                    tokio::time::sleep(Duration::from_secs(1) * count as u32 / rate).await;
                }
            }
        }
    }
}
