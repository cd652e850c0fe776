//! Names as the document describes them. JSON Schema counts characters where the gateway counts bytes: what is
//! longer than its characters allow is refused all the same.

use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::protocol::{MessageId, Topic};

/// The longest user and token id, in bytes: no longer one is ever accepted.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// No control characters: U+0000 to U+001F, U+007F to U+009F.
const NO_CONTROLS: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

fn name(most: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(most))
}

/// A topic.
pub(super) struct TopicName;

impl PartialSchema for TopicName {
    fn schema() -> RefOr<Schema> {
        let text = "1 to 255 bytes of UTF-8 without control characters.";
        let name = name(Topic::MAX_BYTES).pattern(Some(NO_CONTROLS));
        name.description(Some(text)).into()
    }
}

impl ToSchema for TopicName {}

/// A message's own name.
pub(super) struct MessageName;

impl PartialSchema for MessageName {
    fn schema() -> RefOr<Schema> {
        let text = "1 to 128 bytes of UTF-8 without control characters.";
        let name = name(MessageId::MAX_BYTES).pattern(Some(NO_CONTROLS));
        name.description(Some(text)).into()
    }
}

impl ToSchema for MessageName {}

/// A user, or a token's id.
pub(super) struct UserName;

impl PartialSchema for UserName {
    fn schema() -> RefOr<Schema> {
        let text = "1 to 255 bytes of UTF-8.";
        name(MAX_NAME_BYTES).description(Some(text)).into()
    }
}

impl ToSchema for UserName {}

/// Of these members one is there at least, and not null.
pub(super) fn one_of(request: &str, members: &[&str]) -> RefOr<Schema> {
    let some = members.iter().fold(AnyOfBuilder::new(), |some, member| {
        let given = ObjectBuilder::new().schema_type(Type::String);
        let object = ObjectBuilder::new().property(*member, given);
        some.item(object.required(*member))
    });
    let request = Ref::from_schema_name(request);
    AllOfBuilder::new().item(request).item(some).into()
}
