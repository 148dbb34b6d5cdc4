//! Strict JSON for request bodies: an object, no name twice, no deeper than the parser's own bound of 128 levels.
//!
//! `serde_json` alone keeps the last of two equal names, so that two readers of one body could see different things.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::Problem;
use crate::message::{self, Message};

/// Reads a body.
///
/// # Errors
/// 400: empty or not UTF-8 (`UnrecognizedRequestBody`), no JSON or too deep (`MalformedJSON`), not an object
/// (`UnrecognizedRequestBody`), a name twice (`PropertyDuplicate`).
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let refuse = |message: Message| Problem::bad_request(vec![message]);
    let text = str::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| refuse(Message::new(message::UnrecognizedRequestBody, [])))?;

    let mut duplicate = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Strict(&mut duplicate).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    if let Some(name) = duplicate {
        return Err(refuse(Message::new(message::PropertyDuplicate, [&name])));
    }
    match read {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(refuse(Message::new(message::UnrecognizedRequestBody, []))),
        Err(_) => Err(refuse(Message::new(message::MalformedJSON, []))),
    }
}

/// Reads any value and stops at the first name that comes twice in one object, which it leaves here.
struct Strict<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict(self.0))? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                *self.0 = Some(name);
                return Err(A::Error::custom("a name comes twice"));
            }
            let value = members.next_value_seed(Strict(self.0))?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &[u8]) -> String {
        let problem = parse_object(body).unwrap_err();
        assert_eq!(problem.status, 400);
        problem.messages[0].entry.key.to_owned()
    }

    #[test]
    fn an_object_keeps_its_values_and_order() {
        let body = br#"{"b": [1, -2, 2.5, "x", null, true], "a": {"c": {}}}"#;
        let object = parse_object(body).unwrap();
        assert_eq!(Value::Object(object), serde_json::from_slice::<Value>(body).unwrap());
    }

    #[test]
    fn what_is_not_a_json_object_is_refused_by_name() {
        assert_eq!(refusal(b""), "UnrecognizedRequestBody");
        assert_eq!(refusal(b" \n"), "UnrecognizedRequestBody");
        assert_eq!(refusal(b"{\"a\": \"\xff\xfe\"}"), "UnrecognizedRequestBody");
        assert_eq!(refusal(b"[1]"), "UnrecognizedRequestBody");
        assert_eq!(refusal(b"{\"a\":"), "MalformedJSON");
        assert_eq!(refusal(b"{} {}"), "MalformedJSON");
        assert_eq!(refusal(b"{\"a\":1,\"b\":{\"c\":1,\"c\":2}}"), "PropertyDuplicate");
    }

    #[test]
    fn ten_thousand_levels_are_refused_without_using_the_stack() {
        let mut body = b"{\"a\":".to_vec();
        body.extend([b'['; 10_000]);
        assert_eq!(refusal(&body), "MalformedJSON");
        let body = "{\"a\":".repeat(10_000);
        assert_eq!(refusal(body.as_bytes()), "MalformedJSON");
    }
}
