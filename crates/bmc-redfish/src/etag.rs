//! Entity tags: strong, and a digest of what the client sees.
//!
//! A digest survives a restart of the daemon and changes exactly when the answer does; a counter would do neither. Hexadecimal only,
//! because sushy strips weak tags by a pattern that knows no other characters.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of the digest shown; enough that no two states of one resource ever share a tag.
const TAG_BYTES: usize = 8;

/// The tag of a resource, quotes included. `@odata.etag` itself does not count.
pub(crate) fn of(resource: &Value) -> String {
    let mut digest = Sha256::new();
    digest.update(resource.to_string().as_bytes());
    let digest = digest.finalize();
    format!("\"{}\"", hex::encode(&digest[..TAG_BYTES]))
}

/// Puts the tag into a resource, behind `@odata.type` where clients look for it, and returns it.
pub(crate) fn stamp(resource: &mut Value) -> String {
    let tag = of(resource);
    if let Value::Object(object) = resource {
        let at = object.len().min(2);
        object.shift_insert(at, "@odata.etag".to_owned(), tag.clone().into());
    }
    tag
}

/// Whether a write may go on: no If-Match, `*`, or one of its tags is the present one (RFC 9110 §13.1.1).
pub(crate) fn may_write(headers: &HeaderMap, present: &str) -> bool {
    !headers.contains_key(IF_MATCH) || lists(headers, &IF_MATCH, present, false)
}

/// Whether a reader already has this: If-None-Match lists the present tag or is `*` (RFC 9110 §13.1.2).
pub(crate) fn has_it(headers: &HeaderMap, present: &str) -> bool {
    lists(headers, &IF_NONE_MATCH, present, true)
}

/// Whether the header lists the tag. A weak tag equals a strong one only where `weak` comparison is meant.
fn lists(headers: &HeaderMap, name: &HeaderName, present: &str, weak: bool) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
        let tag = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
        tag == "*" || tag == present
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
    fn the_stamp_does_not_change_what_it_is_made_of() {
        let mut resource = json!({"@odata.id": "/x", "@odata.type": "#X.X", "Id": "x"});
        let tag = of(&resource);
        assert_eq!(stamp(&mut resource), tag);
        assert_eq!(resource["@odata.etag"], tag);
    }

    #[test]
    fn conditions() {
        let with = |name: HeaderName, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        assert!(may_write(&HeaderMap::new(), "\"a\""));
        assert!(may_write(&with(IF_MATCH, "\"b\", \"a\""), "\"a\""));
        assert!(may_write(&with(IF_MATCH, "*"), "\"a\""));
        assert!(!may_write(&with(IF_MATCH, "\"b\""), "\"a\""));
        assert!(!may_write(&with(IF_MATCH, "W/\"a\""), "\"a\""), "a weak tag never matches for a write");
        assert!(!may_write(&with(IF_MATCH, ""), "\"a\""));
        assert!(has_it(&with(IF_NONE_MATCH, "W/\"a\""), "\"a\""));
        assert!(!has_it(&with(IF_NONE_MATCH, "\"b\""), "\"a\""));
        assert!(!has_it(&HeaderMap::new(), "\"a\""));
    }
}
