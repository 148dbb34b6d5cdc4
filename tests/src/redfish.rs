//! A Redfish client of few words: `curl` as the administrator, one request a run.

use serde_json::Value;
use testkit::tools::Tool;

use crate::lab::{Node, PASSWORD, USER};

/// Where the collection of Systems is.
pub const SYSTEMS: &str = "/redfish/v1/Systems";

/// A Redfish service and who asks.
#[derive(Debug, Clone)]
pub struct Redfish {
    root: String,
    identity: Vec<String>,
}

/// What a service answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Redfish {
    /// The service behind a URL without a path, asked as the administrator.
    pub fn at(root: &str) -> Self {
        Self::with_login(root, USER, PASSWORD)
    }

    /// The same, asked as somebody else.
    pub fn with_login(root: &str, user: &str, password: &str) -> Self {
        let identity = vec!["--user".to_owned(), format!("{user}:{password}")];
        Self { root: root.trim_end_matches('/').to_owned(), identity }
    }

    /// The same, asked by nobody.
    pub fn anonymous(root: &str) -> Self {
        Self { root: root.trim_end_matches('/').to_owned(), identity: Vec::new() }
    }

    /// The own root of one BMC.
    pub fn of(node: &Node<'_>) -> Self {
        Self::at(&node.redfish)
    }

    /// A `curl` for one path, to which anything may be added.
    #[track_caller]
    pub fn curl(&self, path: &str) -> Tool {
        // The certificate is made by the daemon under test; that it is one, other tests look at.
        let tool =
            Tool::find("curl").args(["--silent", "--show-error", "--insecure", "--include", "--globoff"]);
        // What the user's own set-up says must not reach the tests.
        let tool = tool.args(["--disable", "--noproxy", "*", "--path-as-is", "--header", "Expect:"]);
        tool.args(&self.identity).arg(format!("{}{path}", self.root))
    }

    /// Sends one request.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        match body {
            Some(body) => self.send_bytes(method, path, body.to_string()),
            None => Answer::parse(&self.curl(path).args(["--request", method]).ok()),
        }
    }

    /// Sends one request with any body, which is said to be JSON.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn send_bytes(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let body_is_stdin = ["--header", "Content-Type: application/json", "--data-binary", "@-"];
        Answer::parse(&self.curl(path).args(["--request", method]).args(body_is_stdin).stdin(body).ok())
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    /// GET of something that has to be there.
    ///
    /// # Panics
    /// When it is not, or is no JSON.
    #[track_caller]
    pub fn read(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    /// PATCH.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, Some(body))
    }

    /// POST.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body))
    }
}

impl Answer {
    /// Takes apart what `curl --include` printed.
    ///
    /// # Panics
    /// When it is no HTTP answer.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("this is no HTTP answer: {text:?}"));
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// Itself, if the status is this.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header; the first one where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The ids of the messages of a refusal, without registry and version.
    ///
    /// # Panics
    /// When the body is no Redfish error.
    #[track_caller]
    pub fn messages(&self) -> Vec<String> {
        let body = self.json();
        let entries = body["error"]["@Message.ExtendedInfo"].as_array();
        let entries = entries.unwrap_or_else(|| panic!("no @Message.ExtendedInfo in {self:?}"));
        let id = |entry: &Value| {
            let id = entry["MessageId"].as_str().unwrap_or_default();
            assert!(id.starts_with("Base."), "{id:?} is not of the Base registry");
            id.rsplit('.').next().unwrap_or_default().to_owned()
        };
        entries.iter().map(id).collect()
    }
}
