//! What no journal, task or answer may show of a request.

use serde_json::{Map, Value};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// A body as it may be shown: without the values of the members named in `secrets`, at any depth, and without passwords in URLs.
pub(crate) fn masked(body: &Map<String, Value>, secrets: &[&str]) -> Value {
    let mut shown = Value::Object(body.clone());
    mask(&mut shown, secrets);
    shown
}

fn mask(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if secrets.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
                    *value = MASK.into();
                } else {
                    mask(value, secrets);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secrets)),
        Value::String(text) => {
            if let Some(bare) = without_userinfo(text) {
                *text = bare;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A URL without the user and password in it; `None` where there are none. It may lack its scheme, which a request can name apart from it.
pub(crate) fn without_userinfo(url: &str) -> Option<String> {
    if let Some(bare) = without_user(url) {
        return Some(bare);
    }
    let (scheme, rest) = url.split_once("://")?;
    // More slashes than there should be are none to a reader of URLs.
    let bare = without_user(rest.trim_start_matches(['/', '\\']))?;
    Some(format!("{scheme}://{bare}"))
}

/// `[USER@]HOST...` without the user.
fn without_user(text: &str) -> Option<String> {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (authority, path) = text.split_at(end);
    let (_, host) = authority.rsplit_once('@')?;
    Some(format!("{MASK}@{host}{path}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let body = json!({"Password": "a", "Deep": [{"password": ["b"], "Name": "c"}], "Image": "http://u:p@h/x?q=@",
            "Other": "http://h/a@b", "Number": 1});
        let shown = masked(body.as_object().unwrap(), &["Password"]);
        let expected = json!({"Password": "***", "Deep": [{"password": "***", "Name": "c"}],
            "Image": "http://***@h/x?q=@", "Other": "http://h/a@b", "Number": 1});
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_user_is_masked_wherever_a_reader_of_urls_finds_one() {
        for (url, shown) in [
            ("http://u:p@h/x", "http://***@h/x"),
            ("u:p@h/x.iso", "***@h/x.iso"),
            ("u:p@h?y", "***@h?y"),
            ("u:p@h/x?at=http://h/", "***@h/x?at=http://h/"),
            ("u:a@b@h", "***@h"),
            ("http:///u:p@h/x", "http://***@h/x"),
        ] {
            assert_eq!(without_userinfo(url).as_deref(), Some(shown), "{url}");
        }
        for bare in ["", "h/x@y", "http://h/x@y", "h?u@v", "#u@v", "http://h?u@v"] {
            assert_eq!(without_userinfo(bare), None, "{bare}");
        }
    }
}
