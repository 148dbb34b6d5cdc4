//! What form of an answer a client takes: its media type (`Accept`) and its coding (`Accept-Encoding`), after RFC 9110 §12.5.
//!
//! gzip is the one coding beside none. It is made only for those who ask for it, and only of answers that gain by it.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

/// The least size of an answer in bytes that is compressed: what fits one packet gains nothing.
pub(crate) const GZIP_MIN_BYTES: usize = 1400;
/// Larger answers are compressed beside the runtime's own threads; at some hundred megabytes per second this bound is a millisecond.
const GZIP_INLINE_MAX_BYTES: usize = 128 * 1024;
/// How much smaller JSON becomes at least, as a first guess at the room it takes.
const GZIP_EXPECTED_RATIO: usize = 4;

/// The preference of an entry without `q`, in thousandths.
const Q_MAX: u16 = 1000;

/// The entries of a list header: name without parameters, and preference in thousandths.
fn entries(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, u16)> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let items = values.flat_map(|value| value.split(',')).filter(|item| !item.trim().is_empty());
    let entry = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let q = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        // A preference that is none counts as the highest, as if it were not there.
        (name, q.and_then(|(_, q)| thousandths(q.trim())).unwrap_or(Q_MAX))
    };
    items.map(entry).collect()
}

/// `0.5` as 500 (RFC 9110 §12.4.2).
fn thousandths(q: &str) -> Option<u16> {
    let value: f32 = q.parse().ok().filter(|value| (0.0..=1.0).contains(value))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    Some((value * f32::from(Q_MAX)).round() as u16)
}

/// Whether a client takes an answer of this type, written as `application/json`. The nearest entry counts; no header means any type.
pub(crate) fn takes_type(headers: &HeaderMap, kind: &str) -> bool {
    let entries = entries(headers, &ACCEPT);
    let family = kind.split_once('/').map_or_else(String::new, |(family, _)| format!("{family}/*"));
    let of = |name: &str| entries.iter().find(|(entry, _)| entry == name).map(|(_, q)| *q);
    entries.is_empty() || of(kind).or_else(|| of(&family)).or_else(|| of("*/*")).is_some_and(|q| q > 0)
}

/// Whether a client would rather have an answer compressed.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let entries = entries(headers, &ACCEPT_ENCODING);
    let of = |name: &str| entries.iter().find(|(entry, _)| entry == name).map(|(_, q)| *q);
    let gzip = of("gzip").or_else(|| of("x-gzip")).or_else(|| of("*")).unwrap_or(0);
    gzip > 0 && gzip >= of("identity").unwrap_or(0)
}

/// Compresses; `None` if that fails, and then the answer goes out as it is.
pub(crate) async fn gzip(bytes: Bytes) -> Option<Bytes> {
    if bytes.len() <= GZIP_INLINE_MAX_BYTES {
        return squeeze(&bytes);
    }
    tokio::task::spawn_blocking(move || squeeze(&bytes)).await.ok().flatten()
}

fn squeeze(bytes: &[u8]) -> Option<Bytes> {
    let room = Vec::with_capacity(bytes.len() / GZIP_EXPECTED_RATIO);
    let mut encoder = GzEncoder::new(room, Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn media_types() {
        for (accept, takes) in [
            ("application/json", true),
            ("application/json;charset=utf-8", true),
            ("application/*", true),
            ("*/*;charset=utf-8", true),
            ("text/html, application/xhtml+xml, */*;q=0.8", true),
            ("APPLICATION/JSON", true),
            ("", true),
            (" , ", true),
            ("application/json;q=x", true),
            ("text/html", false),
            ("application/xml", false),
            ("application/json;q=0, */*", false),
            ("application/*;q=0, */*", false),
            ("nonsense", false),
        ] {
            assert_eq!(takes_type(&with(ACCEPT, accept), "application/json"), takes, "{accept}");
        }
        assert!(takes_type(&HeaderMap::new(), "application/json"));
    }

    #[test]
    fn codings() {
        for (accept, takes) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("*", true),
            ("x-gzip", true),
            ("deflate;q=1, gzip;q=0.3", true),
            ("identity;q=0.5, gzip;q=0.5", true),
            ("identity, gzip;q=0.5", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000, *", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&with(ACCEPT_ENCODING, accept)), takes, "{accept}");
        }
        assert!(!takes_gzip(&HeaderMap::new()), "who does not ask gets none");
    }
}
