//! A client of the HTTP interface, and a person who is logged in with one.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use crate::transcript::Transcript;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, null when empty, a string when it is not JSON.
    pub body: Value,
}

impl Answer {
    /// One header as text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The stable word of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(HeaderName, String)>,
    pub body: Option<Value>,
    /// A body that is no JSON document, and its media type.
    pub text: Option<(&'static str, String)>,
}

impl Ask {
    pub fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: None, text: None }
    }

    pub fn body(mut self, body: &Value) -> Self {
        self.body = Some(body.clone());
        self
    }

    pub fn text(mut self, kind: &'static str, text: &str) -> Self {
        self.text = Some((kind, text.to_owned()));
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((HeaderName::from_static(name), value.to_owned()));
        self
    }
}

/// Speaks to one Doorward, as nobody or as somebody.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    /// The access token, when somebody is logged in.
    pub access_token: Option<String>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().user_agent("journeys/1").build().unwrap();
        Self { base: base.to_owned(), http, access_token: None }
    }

    /// Sends a request.
    pub async fn send(&self, ask: &Ask) -> Answer {
        self.try_send(ask).await.unwrap()
    }

    /// Sends a request to a Doorward that may be gone.
    pub async fn try_send(&self, ask: &Ask) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(ask.method.clone(), format!("{}{}", self.base, ask.path));
        if let Some(token) = &self.access_token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, text)) = &ask.text {
            request = request.header("content-type", *kind).body(text.clone());
        }
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        // After the headers: one of them may say that the body is of another kind.
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        Ok(Answer { status, headers, body })
    }

    /// Sends a request and notes it with its answer.
    pub async fn tell(&self, notes: &mut Transcript, ask: &Ask) -> Answer {
        let answer = self.send(ask).await;
        notes.note(ask, self.access_token.is_some(), &answer);
        answer
    }

    /// Opens something that does not end, and reads its head only.
    pub async fn open(&self, path: &str) -> reqwest::Response {
        let request = self.http.get(format!("{}{path}", self.base));
        let response = request.bearer_auth(self.access_token.as_ref().unwrap()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response
    }

    /// Posts a form, as a mail program does; the status.
    pub async fn post_form(&self, path: &str, body: &'static str) -> u16 {
        let request = self.http.post(format!("{}{path}", self.base)).body(body);
        let kind = "application/x-www-form-urlencoded";
        request.header("content-type", kind).send().await.unwrap().status().as_u16()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(&Ask::new(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&Ask::new(Method::POST, path).body(body)).await
    }
}

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct Person {
    pub client: Client,
    pub id: String,
    pub email: String,
    pub password: String,
    pub session: String,
    pub refresh_token: String,
}

impl Person {
    /// Logs in.
    pub async fn log_in(base: &str, email: &str, password: &str) -> Self {
        let mut client = Client::new(base);
        let answer =
            client.post("/api/v1/auth/logins", &json!({ "email": email, "password": password })).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        client.access_token = Some(answer.body["access_token"].as_str().unwrap().to_owned());
        let me = client.get("/api/v1/users/me").await;
        assert_eq!(me.status, 200, "{:?}", me.body);
        Self {
            id: me.body["id"].as_str().unwrap().to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
            session: answer.body["session_id"].as_str().unwrap().to_owned(),
            refresh_token: answer.body["refresh_token"].as_str().unwrap().to_owned(),
            client,
        }
    }
}
