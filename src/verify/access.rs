//! I1: nothing without a token, nothing that the token does not allow.

use serde_json::value::RawValue;

use crate::client::Event;
use crate::protocol::{ClientMessage, ErrorCode, Setup, Subscribe};

use super::peer::{Peer, Target, publish_text, unexpected};
use super::report::{Broken, Outcome};

pub(super) async fn check(
    target: &Target,
    denied: Option<&str>,
) -> Result<(Outcome, String), Broken> {
    let topic = target.own("access");
    let mut stranger = target.open().await?;
    subscribe(&mut stranger, &topic).await;
    expect(&mut stranger, ErrorCode::AuthRequired, "before setup").await?;
    let mut nobody = target.open().await?;
    set_up(&mut nobody, "").await;
    expect(&mut nobody, ErrorCode::AuthFailed, "for an empty token").await?;
    match nobody.next().await? {
        Event::Closed { code: 4001, .. } => {}
        other => return Err(unexpected("a close with 4001", &other).into()),
    }
    let seen = "AUTH_REQUIRED before setup, AUTH_FAILED and 4001 for an empty token";

    let mut user = target.user(&[]).await?;
    // With demo auth somebody else's; a token that names its topics does not name this one.
    let elsewhere = topic.replacen("verify.", "private.verify-", 1);
    let forbidden = denied.unwrap_or(&elsewhere);
    subscribe(&mut user, forbidden).await;
    match user.next().await? {
        Event::Error(error) if error.code == ErrorCode::AclDenied => {}
        Event::Subscribed(_) if denied.is_none() => {
            let text = format!("{seen}; the token allows what was tried: name a denied topic");
            return Ok((Outcome::Skipped, text));
        }
        other => {
            let why = unexpected("ACL_DENIED", &other);
            return Err(format!("subscribe: {why}").into());
        }
    }
    let publish = publish_text(forbidden, &topic, RawValue::NULL, None);
    user.send_all([publish]).await;
    expect(&mut user, ErrorCode::AclDenied, "for publish").await?;
    let text = format!("{seen}; ACL_DENIED for subscribe and publish of a denied topic");
    Ok((Outcome::Pass, text))
}

async fn set_up(peer: &mut Peer, token: &str) {
    let setup = Setup {
        token: token.into(),
        topics: Vec::new(),
        qos: None,
    };
    peer.send(&ClientMessage::Setup(setup)).await;
}

async fn subscribe(peer: &mut Peer, topic: &str) {
    peer.send(&ClientMessage::Subscribe(Subscribe {
        topic: topic.into(),
        last_seq: None,
        epoch: None,
        qos: None,
    }))
    .await;
}

async fn expect(peer: &mut Peer, code: ErrorCode, when: &str) -> Result<(), String> {
    match peer.next().await? {
        Event::Error(error) if error.code == code => Ok(()),
        other => {
            let code = code.as_str();
            Err(format!("no {code} {when}: {}", unexpected(code, &other)))
        }
    }
}
