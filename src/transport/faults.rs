//! What a bad network does to a connection, done on purpose, for trying things out.
//!
//! What follows is what follows a bad network: nothing in here closes a session or answers a client.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_local;

use crate::backbone::SessionId;
use crate::gateway::Gateway;
use crate::hub::Key;
use crate::session::session_id;

use super::shard::Shard;
use super::{Command, ShardHandle};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// TCP ends without a close frame.
    Cut,
    /// The socket takes nothing that is written to it for so long, as if its peer did not read.
    Stall(Duration),
}

/// Does it to the connection that holds the session; false when none of this gateway's does.
pub async fn inflict(
    gateway: &Gateway,
    shards: &[ShardHandle],
    session: &str,
    fault: Fault,
) -> bool {
    let found = session_id(session).and_then(|id| Some((id, gateway.live().find(id)?)));
    let Some((id, live)) = found else {
        return false;
    };
    let Some(shard) = shards.get(usize::from(live.shard)) else {
        return false;
    };
    let (reply, answer) = oneshot::channel();
    shard.tell(Command::Inflict(live.key, id, fault, reply));
    answer.await.unwrap_or(false)
}

impl Shard {
    pub(super) fn inflict(self: &Rc<Self>, key: Key, id: SessionId, fault: Fault) -> bool {
        let mut held = false;
        self.with(key, |state, _| {
            let Some(connection) = state.get(key).filter(|c| c.session_id == Some(id)) else {
                return;
            };
            held = true;
            match fault {
                Fault::Cut => connection.cut_off(),
                Fault::Stall(_) => connection.socket.stall(true),
            }
        });
        if let (true, Fault::Stall(span)) = (held, fault) {
            let shard = self.clone();
            spawn_local(async move {
                tokio::time::sleep(span).await;
                shard.with(key, |state, _| {
                    if let Some(connection) = state.get(key) {
                        connection.take_again();
                    }
                });
            });
        }
        held
    }
}
