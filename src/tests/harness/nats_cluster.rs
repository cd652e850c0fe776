//! Three real nats-servers that are one cluster.

use super::NatsServer;
use super::process::free_ports;

/// The servers, by their names.
pub struct NatsCluster(Vec<(&'static str, NatsServer)>);

impl NatsCluster {
    pub async fn start() -> Self {
        let ports: [u16; 3] = free_ports();
        let routes = ports.map(|port| format!("nats://127.0.0.1:{port}"));
        let routes = routes.join(", ");
        let mut servers = Vec::new();
        for (name, port) in ["n1", "n2", "n3"].into_iter().zip(ports) {
            let more = format!(
                "server_name: {name}\ncluster {{ name: tests, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
            );
            servers.push((name, NatsServer::with(&more).await));
        }
        Self(servers)
    }

    /// The addresses of all of them, as `--nats-url` takes them.
    pub fn urls(&self) -> String {
        let urls: Vec<String> = self.0.iter().map(|(_, server)| server.url()).collect();
        urls.join(",")
    }

    /// Kills the one of this name.
    pub fn kill(&mut self, name: &str) {
        let found = self.0.iter_mut().find(|(other, _)| *other == name);
        found.expect("there is one").1.stop();
    }
}
