//! Why sockets end and why they are not let in: two tables whose values become labels.

macro_rules! causes {
    ($(#[$doc:meta])* $table:ident $($name:ident $label:literal $meaning:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $table { $(#[doc = $meaning] $name,)* }

        impl $table {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The label.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $label),* } }
        }
    };
}

causes! {
    /// Why a WebSocket ended. Each has one reason: the first that came.
    EndCause
    Closed "closed" "The gateway closed it, for the reason that its close code says.";
    QueueFull "queue_full" "Closed with 4108: more was waiting than its queue holds.";
    Stalled "stalled" "Closed with 4108: it took nothing for a while.";
    Unfinished "unfinished" "Closed with 1008: a message that had begun did not come whole in time.";
    Flooded "flooded" "Closed with 1008: too many frames carried nothing.";
    Silent "silent" "Cut off without a close: a ping was not answered in time.";
    Peer "peer" "The peer closed it in order.";
    Lost "lost" "The connection went away without a close.";
}

causes! {
    /// Why somebody was not let in.
    Refused
    Full "full" "All connections are taken.";
    Draining "draining" "The gateway is going away.";
    Address "address" "Its address has all the connections that one may have.";
    Pending "pending" "Too many others are not set up yet.";
    Head "head" "It connected and sent no request that is one, or not in time.";
    Origin "origin" "The page that asked is on no allowed origin.";
    Tls "tls" "The TLS handshake failed or was not finished in time.";
    Accept "accept" "The system could not accept it, such as when no file descriptor is left.";
}
