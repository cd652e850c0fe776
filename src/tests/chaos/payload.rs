//! What is published. Pure: id and payload follow from each other, so that whoever receives a message
//! can tell whether it is the one that was sent, to the byte, and when it was.

/// Bytes of the payloads that fill the buffers of whoever does not read.
const FAT: usize = 48 * 1024;
/// What their publisher's name begins with.
pub const FAT_NAME: &str = "fat";

/// The id of a publisher's message, sent so many microseconds after the beginning.
pub fn id(publisher: &str, number: u64, sent_us: u64) -> String {
    format!("{publisher}-{number}-{sent_us}")
}

/// When it was sent first.
pub fn sent_us(id: &str) -> Option<u64> {
    id.rsplit('-').next()?.parse().ok()
}

/// JSON that a gateway which reads and writes payloads would write in another way.
pub fn payload(id: &str) -> String {
    if id.starts_with(FAT_NAME) {
        return format!(r#"{{"id":"{id}","pad":"{}"}}"#, "fat".repeat(FAT / 3));
    }
    let sum: usize = id.bytes().map(usize::from).sum();
    match sum % 5 {
        0 => format!(r#"{{"b" : 1.0,"a":1e3 ,"a":-0, "id":"{id}"}}"#),
        1 => format!(r#""A\/\u00e9\ud83d\ude00é {id}""#),
        2 => format!(r#"[ "{id}",123456789012345678901234567890.10 , null,[ ],{{ }}]"#),
        3 => format!(r#"{{"nested":{{"":[[],{{}}]}}, "</script>":"{id}"}}"#),
        _ => format!(r#"{{"type":"message","topic":"x","seqNo":1,"messageId":"{id}"}}"#),
    }
}

#[test]
fn a_payload_is_json_and_an_id_tells_its_time() {
    for number in 0..20 {
        for name in ["ann", FAT_NAME] {
            let id = id(name, number, 77);
            assert_eq!(sent_us(&id), Some(77));
            let text = payload(&id);
            assert!(text.contains(&id));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let again = value.to_string();
            assert!(
                again != text || name == FAT_NAME,
                "written again it is {text}"
            );
        }
    }
}
