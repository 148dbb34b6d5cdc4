//! Entity tags: strong, and a digest of what the client sees.
//!
//! A digest survives a restart of the daemon and changes exactly when the answer does; a counter would do neither. Hexadecimal only,
//! because sushy strips weak tags by a pattern that knows no other characters.
//!
//! A compressed answer has other bytes, so its header carries another tag (RFC 9110 §8.8.3.3): the same with a suffix. A client may send
//! back either, and either may have become weak on its way, as proxies make it that compress: all of them mean the state of the resource.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of the digest shown; enough that no two states of one resource ever share a tag.
const TAG_BYTES: usize = 8;

/// What the tag of a compressed answer ends with, before its quote.
const GZIP_SUFFIX: &str = "-gzip";
/// Members of a resource that stand before its tag: `@odata.id` and `@odata.type`, where clients look for them.
const MEMBERS_BEFORE: usize = 2;
const MEMBER: &str = "@odata.etag";
/// The annotation that shows how settings were applied (DSP0266, "Settings resource").
const SETTINGS: &str = "@Redfish.Settings";

/// A clock that runs is no change of its resource: who sets it by If-Match must be able to.
const CLOCK: &str = "DateTime";

/// The tag of a resource, quotes included. `@odata.etag` itself does not count, nor does a clock, nor the tag in `@Redfish.Settings`: that is
/// the resource's own as it was once.
pub(crate) fn of(resource: &Value) -> String {
    if !has_more_than_state(resource) {
        return of_bytes(resource.to_string().as_bytes());
    }
    let mut without = resource.clone();
    if let Some(object) = without.as_object_mut() {
        object.shift_remove(CLOCK);
    }
    if let Some(settings) = without.get_mut(SETTINGS).and_then(Value::as_object_mut) {
        settings.shift_remove("ETag");
    }
    of_bytes(without.to_string().as_bytes())
}

/// Whether the resource shows something that does not count.
fn has_more_than_state(resource: &Value) -> bool {
    let applied = resource.get(SETTINGS).is_some_and(|settings| settings.get("ETag").is_some());
    applied || resource.get(CLOCK).is_some()
}

/// The tag of what is shown by these bytes.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("\"{}\"", hex::encode(&digest[..TAG_BYTES]))
}

/// The tag of the same state, compressed.
pub(crate) fn compressed(tag: &str) -> String {
    format!("{}{GZIP_SUFFIX}\"", tag.strip_suffix('"').unwrap_or(tag))
}

/// A resource as bytes, with its tag in it; and the tag. Written once, for a collection may be long.
pub(crate) fn render(resource: &Value) -> (Vec<u8>, String) {
    let Value::Object(object) = resource else { return (resource.to_string().into_bytes(), of(resource)) };
    let mut bytes = vec![b'{'];
    let mut at = bytes.len();
    for (index, (name, value)) in object.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut bytes, name);
        bytes.push(b':');
        let _ = serde_json::to_writer(&mut bytes, value);
        if index < MEMBERS_BEFORE {
            at = bytes.len();
        }
    }
    bytes.push(b'}');
    let tag = if has_more_than_state(resource) { of(resource) } else { of_bytes(&bytes) };
    let member = format!("\"{MEMBER}\":{}", Value::from(tag.as_str()));
    let member = match (object.is_empty(), at) {
        (true, _) => member,
        (false, 1) => format!("{member},"),
        (false, _) => format!(",{member}"),
    };
    bytes.splice(at..at, member.into_bytes());
    (bytes, tag)
}

/// Puts the tag into a resource, behind `@odata.type`, and returns it.
pub(crate) fn stamp(resource: &mut Value) -> String {
    let tag = of(resource);
    if let Value::Object(object) = resource {
        let at = object.len().min(MEMBERS_BEFORE);
        object.shift_insert(at, MEMBER.to_owned(), tag.clone().into());
    }
    tag
}

/// Whether a write may go on: no If-Match, `*`, or one of its tags is the present one; and no tag of If-None-Match is (RFC 9110 §13.1).
/// Weak tags count, as DSP0266 advises: a digest that is the same stands for the same state, whoever called it weak.
pub(crate) fn may_write(headers: &HeaderMap, present: &str) -> bool {
    let wanted = !headers.contains_key(IF_MATCH) || lists(headers, &IF_MATCH, present);
    wanted && !lists(headers, &IF_NONE_MATCH, present)
}

/// Whether a reader already has this: If-None-Match lists the present tag or is `*` (RFC 9110 §13.1.2).
pub(crate) fn has_it(headers: &HeaderMap, present: &str) -> bool {
    lists(headers, &IF_NONE_MATCH, present)
}

/// Whether the header lists the tag, weak or not, of the plain answer or the compressed one.
fn lists(headers: &HeaderMap, name: &HeaderName, present: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let compressed = compressed(present);
    values.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || opaque == present || opaque == compressed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tag_is_quoted_hexadecimal_and_follows_the_content() {
        let tag = of(&json!({"a": 1}));
        let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap();
        assert!(inner.len() == 16 && inner.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tag}");
        assert_ne!(tag, of(&json!({"a": 2})));
        assert_eq!(tag, of(&json!({"a": 1})));
    }

    #[test]
    fn a_running_clock_is_no_change() {
        let at = |time: &str| of(&json!({"DateTime": time, "DateTimeLocalOffset": "+00:00"}));
        assert_eq!(at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:01Z"));
    }

    #[test]
    fn the_stamp_does_not_change_what_it_is_made_of() {
        let mut resource = json!({"@odata.id": "/x", "@odata.type": "#X.X", "Id": "x"});
        let tag = of(&resource);
        assert_eq!(stamp(&mut resource), tag);
        assert_eq!(resource["@odata.etag"], tag);
    }

    #[test]
    fn what_is_written_once_is_what_a_stamp_makes() {
        let short =
            [json!({}), json!({"a": 1}), json!({"@odata.id": "/x", "b": {"c": [1.5, null, "\"ü\\n"]}})];
        let long = json!({"@odata.id": "/x", "@odata.type": "#X.X", "Id": "x", "Name": "y"});
        for resource in short.into_iter().chain([long]) {
            let mut stamped = resource.clone();
            let tag = stamp(&mut stamped);
            let (bytes, rendered) = render(&resource);
            assert_eq!((String::from_utf8(bytes).unwrap(), rendered), (stamped.to_string(), tag));
        }
    }

    #[test]
    fn conditions() {
        let with = |name: HeaderName, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        assert!(may_write(&HeaderMap::new(), "\"a\""));
        assert!(may_write(&with(IF_MATCH, "\"b\", \"a\""), "\"a\""));
        assert!(may_write(&with(IF_MATCH, "*"), "\"a\""));
        assert!(!may_write(&with(IF_MATCH, "\"b\""), "\"a\""));
        assert!(may_write(&with(IF_MATCH, "W/\"a\""), "\"a\""), "a proxy may have made it weak");
        assert!(may_write(&with(IF_MATCH, "\"a-gzip\""), "\"a\""), "the tag of a compressed answer");
        assert!(!may_write(&with(IF_MATCH, "\"a-br\""), "\"a\""));
        assert!(!may_write(&with(IF_NONE_MATCH, "*"), "\"a\""));
        assert!(!may_write(&with(IF_NONE_MATCH, "\"a\""), "\"a\""));
        assert!(may_write(&with(IF_NONE_MATCH, "\"b\""), "\"a\""));
        assert!(!may_write(&with(IF_MATCH, ""), "\"a\""));
        assert!(has_it(&with(IF_NONE_MATCH, "W/\"a\""), "\"a\""));
        assert!(!has_it(&with(IF_NONE_MATCH, "\"b\""), "\"a\""));
        assert!(!has_it(&HeaderMap::new(), "\"a\""));
    }
}
