//! The binary: settings, logs, the gateway, and its end.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use micro_socket::config::{self, Settings, Task};
use micro_socket::server::Server;
use micro_socket::telemetry;
use micro_socket::verify;

/// Keeps what lives long apart from what is gone at once: connections that open at the same moment
/// leave no holes behind.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = match config::parse() {
        Ok(Task::Serve(settings)) => settings,
        Ok(Task::Verify { request, json }) => return verify(&request, json),
        Err(exit) => return exit.print(),
    };
    telemetry::init(&settings);
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(serve(&settings))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Says why. Nobody may be reading it any more.
fn failed(error: &std::io::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "micro-socket: {error}");
    ExitCode::FAILURE
}

fn verify(request: &verify::Request, json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let report = match runtime.map(|runtime| runtime.block_on(verify::run(request))) {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    let _ = if json {
        writeln!(std::io::stdout(), "{}", report.to_json())
    } else {
        write!(std::io::stdout(), "{report}")
    };
    ExitCode::from(u8::from(!report.ok))
}

async fn serve(settings: &Settings) -> std::io::Result<()> {
    let mut stop = Box::pin(stop_signal()?);
    let mut again = Again::new()?;
    let server = tokio::select! {
        server = Server::start(settings) => server?,
        () = stop.as_mut() => return Ok(()),
    };
    announce(server.addr, settings.tls.is_some(), server.admin_addr);
    let ended = loop {
        tokio::select! {
            () = stop.as_mut() => break Ok(()),
            () = server.failed() => {
                break Err(std::io::Error::other("a part of it failed; the log says which"));
            }
            () = again.next() => reload(&server),
        }
    };
    tracing::info!("going away");
    server.drain().await;
    tracing::info!("gone");
    ended
}

/// Reads the settings again, from where they came at the start. Nothing changes when they are wrong.
fn reload(server: &Server) {
    let settings = match config::parse() {
        Ok(Task::Serve(settings)) => settings,
        Ok(Task::Verify { .. }) => return,
        Err(exit) => {
            let problems = exit.errors.trim_end();
            return tracing::error!(problems, "the new settings are refused; the old ones stay");
        }
    };
    match server.reload(&settings) {
        Err(error) => {
            tracing::error!(%error, "the new settings are refused; the old ones stay");
        }
        Ok(left) => {
            for warning in settings.warnings() {
                tracing::warn!("{warning}");
            }
            if !left.is_empty() {
                let settings = left.join(", ");
                tracing::warn!(settings, "these have changed and need a restart");
            }
            tracing::info!("the settings were read again");
        }
    }
}

/// When to read the settings again: at each SIGHUP.
#[cfg(unix)]
struct Again(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Again {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup()).map(Self)
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Never.
#[cfg(not(unix))]
struct Again;

#[cfg(not(unix))]
impl Again {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}

/// Ready at the first Ctrl-C or SIGTERM.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ready at Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Says where to go. Nobody may be reading it any more.
fn announce(addr: SocketAddr, tls: bool, admin: Option<SocketAddr>) {
    let s = if tls { "s" } else { "" };
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "micro-socket {version} listens on {addr}\n  \
           playground  http{s}://{addr}/docs\n  \
           WebSocket   ws{s}://{addr}/ws  and  ws{s}://{addr}/ws/sub/{{topic}}\n  \
           HTTP API    http{s}://{addr}/openapi\n"
    );
    if let Some(admin) = admin {
        text.push_str(&format!("  operators   http://{admin}/metrics\n"));
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}
