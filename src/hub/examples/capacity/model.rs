//! What a cluster is like, and what each act costs.

macro_rules! numbers {
    ($(#[$doc:meta])* $table:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $table { $($(#[$field_doc])* pub $field: $kind,)* }

        impl Default for $table {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl $table {
            /// Sets the number of that name; false when there is none or it does not fit.
            pub fn set(&mut self, name: &str, value: &str) -> bool {
                match name {
                    $(stringify!($field) => value.parse().is_ok_and(|value: $kind| {
                        self.$field = value;
                        true
                    }),)*
                    _ => false,
                }
            }
        }
    };
}

numbers! {
    /// A cluster and its clients.
    Model {
        /// Gateways.
        nodes: u32 = 200,
        /// Cores of a gateway; each runs a shard.
        cores: u32 = 4,
        /// Clients of the whole cluster, spread evenly by the load balancer.
        connections: u32 = 1_000_000,
        /// Topics that a client subscribes.
        subscriptions: u32 = 20,
        /// Topics that there are.
        topics: u32 = 1_000_000,
        /// How unevenly clients choose topics: 0 evenly, 1 by Zipf's law.
        skew: f64 = 0.8,
        /// Publishes a second in the whole cluster.
        rate: f64 = 50_000.0,
        /// How unevenly publishes fall on topics, the most subscribed first.
        publish_skew: f64 = 0.5,
        /// Bytes of a payload.
        payload: u32 = 128,
        /// Subjects that the topics share; 0 gives each topic its own.
        subjects: u32 = 0,
        /// Model time, in seconds.
        seconds: f64 = 1.0,
        /// Gateways that are really simulated; the others are like them.
        simulated: u32 = 200,
    }
}

numbers! {
    /// What each act costs a core, in microseconds, and the sizes that are not the gateway's own. The
    /// defaults are the magnitudes measured on one core of a 2-core machine.
    Costs {
        /// A write to a socket, whatever is in it.
        write_us: f64 = 4.4,
        /// A frame in a write.
        frame_us: f64 = 0.06,
        /// A topic's batch chained to a subscriber.
        link_us: f64 = 0.08,
        /// A record taken out of a shard's inbox.
        arrival_us: f64 = 0.3,
        /// A message from NATS read, encoded and handed to the hub; one task a gateway does it.
        pump_us: f64 = 2.0,
        /// A client's publish read, checked, sent to NATS and acknowledged.
        publish_us: f64 = 4.0,
        /// From a client's publish to the message's arrival at the gateways.
        nats_us: f64 = 1_000.0,
        /// A message that a NATS server takes in or gives out.
        nats_server_us: f64 = 0.7,
        /// Copies that JetStream keeps.
        replicas: u32 = 3,
        /// NATS servers.
        nats_servers: u32 = 3,
        /// A publish that a stream of three replicas numbers and keeps; it takes one after the other.
        stream_us: f64 = 22.0,
        /// Bytes of a NATS server for a subject that one of its clients, or another server, hears.
        interest_bytes: u32 = 1_000,
        /// Bytes of NATS protocol and headers around a payload.
        nats_overhead: u32 = 200,
        /// Bytes of TCP, IP and Ethernet around a write.
        packet_overhead: u32 = 66,
        /// Bytes of a gateway for an idle connection.
        connection_bytes: u32 = 1_900,
    }
}

impl Model {
    /// Clients of one gateway.
    pub const fn connections_of(&self, node: u32) -> u32 {
        let even = self.connections / self.nodes;
        even + (node < self.connections % self.nodes) as u32
    }
}

/// Microseconds as nanoseconds.
pub fn ns(us: f64) -> f64 {
    us * 1e3
}
