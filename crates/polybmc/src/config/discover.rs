//! `discover` of a libvirt backend: which of its domains get a BMC by themselves, and under which name.

use bmc_core::discovery::Found;
use toml::de::DeValue;

use super::check::NAME_MAX_BYTES;
use super::reader::Reader;

/// Stands for the domain's name in the name of its BMC.
const NAME: &str = "{name}";
const KEY: &str = "discover";
const PATTERN: &str = "a pattern of names such as \"web-*\", or a list of them; `[]`: those that are marked";

/// Which domains get a BMC. What a domain's own mark says goes before all patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discover {
    /// A domain whose name matches one of these has a BMC ...
    names: Vec<String>,
    /// ... unless it matches one of those.
    except: Vec<String>,
    /// The BMC's name, from the domain's.
    bmc: String,
}

impl Discover {
    /// Whether a domain gets a BMC.
    pub(crate) fn wants(&self, found: &Found) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &found.name));
        match &found.mark {
            Some(mark) => mark.wanted,
            None => any(&self.names) && !any(&self.except),
        }
    }

    /// The name of a domain's BMC where its mark names none. What a BMC's name cannot have becomes a hyphen; `None` if nothing is left.
    pub(crate) fn bmc_name(&self, domain: &str) -> Option<String> {
        let full = self.bmc.replace(NAME, domain);
        let kept = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let mapped: String = full.chars().map(|letter| if kept(letter) { letter } else { '-' }).collect();
        let mut name = mapped.trim_start_matches(|first: char| !first.is_ascii_alphanumeric()).to_owned();
        name.truncate(NAME_MAX_BYTES);
        (!name.is_empty()).then_some(name)
    }
}

/// `discover = "web-*"`, `["web-*", "db-?"]`, or `{ names = ..., except = ..., bmc = "lab-{name}" }`.
pub(super) fn discover(table: &mut Reader<'_>) -> Option<Discover> {
    let found = table.value(KEY)?;
    let plain = |names| Discover { names, except: Vec::new(), bmc: NAME.to_owned() };
    if let Some(names) = patterns(found.value) {
        return Some(plain(names));
    }
    let Some(inner) = found.value.as_table() else {
        table.wrong(found.line, KEY, PATTERN);
        return None;
    };
    let mut inner = Reader::new(table.notes(), inner, "`discover`", found.line);
    let mut list = |key| {
        let Some(found) = inner.value(key) else { return Vec::new() };
        patterns(found.value).unwrap_or_else(|| {
            inner.wrong(found.line, key, PATTERN);
            Vec::new()
        })
    };
    let (names, except) = (list("names"), list("except"));
    let named = |text: &str| text.contains(NAME).then(|| text.to_owned());
    let bmc = inner.parsed("bmc", "a name with `{name}`, such as `lab-{name}`", named);
    inner.finish();
    Some(Discover { except, bmc: bmc.map_or_else(|| NAME.to_owned(), |bmc| bmc.value), ..plain(names) })
}

fn patterns(value: &DeValue<'_>) -> Option<Vec<String>> {
    if let Some(one) = value.as_str() {
        return Some(vec![one.to_owned()]);
    }
    value.as_array()?.iter().map(|item| Some(item.get_ref().as_str()?.to_owned())).collect()
}

/// Whether a name is as a pattern wants it: `*` stands for anything, `?` for one character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last star stands, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while of < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[of] => {
                at += 1;
                of += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, of) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use bmc_core::discovery::Mark;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, wanted) in [
            ("web-*", "web-1", true),
            ("web-*", "web-", true),
            ("web-*", "xweb-1", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*-?*-z", "a-b-c-z", true),
            ("*ab", "aab", true),
            ("*ab*ab", "ab", false),
            ("ü?", "üß", true),
            ("web", "Web", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
        let slow = "*a".repeat(40);
        assert!(!matches(&slow, &"a".repeat(39)), "and that at once");
    }

    #[test]
    fn a_mark_goes_before_all_patterns() {
        let discover = Discover {
            names: vec!["web-*".to_owned()],
            except: vec!["*-old".to_owned()],
            bmc: NAME.to_owned(),
        };
        let wants = |name: &str, mark: Option<bool>| {
            let mark = mark.map(|wanted| Mark { wanted, name: None, ipmi: None, redfish: None });
            discover.wants(&Found { name: name.to_owned(), active: false, mark })
        };
        assert!(wants("web-1", None) && !wants("db-1", None) && !wants("web-old", None));
        assert!(!wants("web-1", Some(false)) && wants("db-1", Some(true)) && wants("web-old", Some(true)));
    }

    #[test]
    fn what_a_name_cannot_have_becomes_a_hyphen() {
        let discover = |bmc: &str| Discover { names: Vec::new(), except: Vec::new(), bmc: bmc.to_owned() };
        let plain = discover(NAME);
        assert_eq!(plain.bmc_name("web-1.example_a").as_deref(), Some("web-1.example_a"));
        assert_eq!(plain.bmc_name("Windows 10: München").as_deref(), Some("Windows-10--M-nchen"));
        assert_eq!(plain.bmc_name(".-x").as_deref(), Some("x"));
        assert_eq!(plain.bmc_name("ß"), None);
        assert_eq!(plain.bmc_name(&"a".repeat(200)).map(|name| name.len()), Some(NAME_MAX_BYTES));
        assert_eq!(discover("lab-{name}").bmc_name("ß").as_deref(), Some("lab--"));
    }
}
