//! The WebSocket protocol as AsyncAPI 3.0, made from the catalogue and the frames' own types.

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::protocol::message::{
    ClientAck, ErrorFrame, MessageFrame, Publish, PublishAck, Ready, Resume, Setup, Subscribe,
    Subscribed, TokenOnly, TopicOnly,
};
use crate::protocol::reference::{Direction, FRAMES, FrameDoc};

/// The document.
pub(super) fn document() -> Value {
    let mut messages = Map::new();
    let mut schemas = Map::new();
    for frame in FRAMES {
        let payload = schema(frame, &mut schemas);
        let example: Value = serde_json::from_str(frame.example).unwrap_or_default();
        messages.insert(
            key(frame),
            json!({
                "name": frame.name,
                "title": frame.name,
                "summary": frame.summary,
                "contentType": "application/json",
                "payload": payload,
                "examples": [{ "payload": example }],
            }),
        );
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Micro Socket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON text frames over WebSocket. Send setup first.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": {
            "multi": channel("/ws", "One connection, many topics.", None),
            "single": channel(
                "/ws/sub/{topic}",
                "One connection for one topic, subscribed by setup.",
                Some(json!({ "topic": { "description": "The topic, percent-encoded." } })),
            ),
        },
        // From the gateway's point of view: it receives what clients send.
        "operations": {
            "receiveOnMulti": operation("receive", "multi", Direction::ToServer),
            "sendOnMulti": operation("send", "multi", Direction::ToClient),
            "receiveOnSingle": operation("receive", "single", Direction::ToServer),
            "sendOnSingle": operation("send", "single", Direction::ToClient),
        },
        "components": { "messages": messages, "schemas": schemas },
    })
}

/// Names a frame among all; `ack` is in both directions.
fn key(frame: &FrameDoc) -> String {
    match frame.direction {
        Direction::ToServer if frame.name == "ack" => "clientAck".to_owned(),
        _ => frame.name.to_owned(),
    }
}

fn channel(address: &str, description: &str, parameters: Option<Value>) -> Value {
    let messages: Map<String, Value> = FRAMES
        .iter()
        .map(|frame| {
            let key = key(frame);
            let reference = json!({ "$ref": format!("#/components/messages/{key}") });
            (key, reference)
        })
        .collect();
    let mut channel = json!({
        "address": address,
        "description": description,
        "messages": messages,
        "bindings": { "ws": { "method": "GET", "bindingVersion": "0.1.0" } },
    });
    if let Some(parameters) = parameters {
        channel["parameters"] = parameters;
    }
    channel
}

fn operation(action: &str, channel: &str, direction: Direction) -> Value {
    let messages: Vec<Value> = FRAMES
        .iter()
        .filter(|frame| frame.direction == direction)
        .map(|frame| json!({ "$ref": format!("#/channels/{channel}/messages/{}", key(frame)) }))
        .collect();
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "messages": messages,
    })
}

/// The schema of a frame: its type's own, with `type` added. Schemas that it refers to go into
/// `shared`.
fn schema(frame: &FrameDoc, shared: &mut Map<String, Value>) -> Value {
    let mut schema = match (frame.direction, frame.name) {
        (Direction::ToServer, "setup") => of::<Setup<'_>>(shared),
        (Direction::ToServer, "resume") => of::<Resume<'_>>(shared),
        (Direction::ToServer, "subscribe") => of::<Subscribe<'_>>(shared),
        (Direction::ToServer, "publish") => of::<Publish<'_>>(shared),
        (Direction::ToServer, "ack") => of::<ClientAck<'_>>(shared),
        (Direction::ToServer, "refresh") => of::<TokenOnly<'_>>(shared),
        (_, "unsubscribe" | "unsubscribed") => of::<TopicOnly<'_>>(shared),
        (Direction::ToClient, "ready") => of::<Ready<'_>>(shared),
        (Direction::ToClient, "subscribed") => of::<Subscribed<'_>>(shared),
        (Direction::ToClient, "message") => of::<MessageFrame<'_>>(shared),
        (Direction::ToClient, "ack") => of::<PublishAck<'_>>(shared),
        (Direction::ToClient, "error") => of::<ErrorFrame<'_>>(shared),
        _ => json!({ "type": "object", "required": [], "properties": {} }),
    };
    schema["properties"]["type"] = json!({ "type": "string", "const": frame.name });
    if let Some(required) = schema["required"].as_array_mut() {
        required.insert(0, json!("type"));
    }
    schema
}

fn of<T: ToSchema + PartialSchema>(shared: &mut Map<String, Value>) -> Value {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    for (name, part) in parts {
        shared.insert(name, serde_json::to_value(part).unwrap_or_default());
    }
    serde_json::to_value(T::schema()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_has_the_fields_of_the_catalogue() {
        let document = document();
        for frame in FRAMES {
            let payload = &document["components"]["messages"][key(frame)]["payload"];
            let fields: Vec<&str> = payload["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .filter(|name| *name != "type")
                .collect();
            for field in frame.fields {
                assert!(
                    fields.contains(&field.name),
                    "{} lacks {}",
                    frame.name,
                    field.name
                );
                let required = payload["required"].as_array().unwrap();
                assert_eq!(
                    required.contains(&json!(field.name)),
                    field.required,
                    "{}.{}",
                    frame.name,
                    field.name
                );
            }
            assert_eq!(
                fields.len(),
                frame.fields.len(),
                "{}: {fields:?}",
                frame.name
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
                    }
                    members.values().for_each(|member| walk(member, document));
                }
                Value::Array(items) => items.iter().for_each(|item| walk(item, document)),
                _ => {}
            }
        }
        let document = document();
        walk(&document, &document);
    }
}
