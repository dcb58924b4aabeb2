//! The words that questions are made of, in all the shapes of AuthZEN, and reading them.

use crate::model::id;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use contracts::permissions::{Evaluate, Subject};
use contracts::{Error, Field, Fields};
use platform::http::{Json, Problem};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::marker::PhantomData;
use std::pin::Pin;
use utoipa::ToSchema;

/// What the asking side says about something.
pub(super) type Properties = Map<String, Value>;

/// The property of a resource that says whose it is.
const OWNER: &str = "owner";

/// The most bytes of a question: a batch of a thousand fits.
pub(super) const QUESTION_LIMIT: usize = 1024 * 1024;

/// Somebody or something, with what the asking side knows about it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct Entity {
    /// Its type.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Its id within the type.
    pub(super) id: String,
    /// What the asking side knows about it. Of a resource, `owner` is looked at: the id of the user who owns it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) properties: Properties,
}

/// What the subject wants to do.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct Action {
    /// The second half of a permission.
    #[schema(example = "read")]
    pub(super) name: String,
    /// Not looked at.
    #[serde(default, rename = "properties")]
    #[schema(value_type = Object)]
    pub(super) _properties: Properties,
}

/// Reads a question. Of what the asking side knows only the owner is kept: questions of a batch share the rest, which
/// may be as large as the body.
///
/// # Errors
/// Every part that is missing or is no name.
pub(super) fn read(
    subject: Option<&Entity>,
    action: Option<&Action>,
    resource: Option<&Entity>,
) -> Result<Evaluate, Error> {
    let mut fields = Fields::default();
    let mut there = |pointer: &str, is_there: bool| {
        if !is_there {
            fields.broken(pointer, "missing_field", "This field is required.");
        }
    };
    there("/subject", subject.is_some());
    there("/action", action.is_some());
    there("/resource", resource.is_some());
    let mut name = |pointer: &str, text: Option<&String>| {
        text.and_then(|text| fields.take(pointer, id(text))).unwrap_or_default()
    };
    let subject_type = name("/subject/type", subject.map(|subject| &subject.kind));
    let subject = Subject { subject_type, id: name("/subject/id", subject.map(|subject| &subject.id)) };
    let action = name("/action/name", action.map(|action| &action.name));
    let resource_type = name("/resource/type", resource.map(|resource| &resource.kind));
    let resource_id = Some(name("/resource/id", resource.map(|resource| &resource.id)));
    let resource_properties = resource.map(owner).unwrap_or_default();
    fields.finish()?;
    Ok(Evaluate { subject, action, resource_type, resource_id, resource_properties })
}

/// The owner of a resource, unless what is called so can be nobody.
fn owner(resource: &Entity) -> Properties {
    let owner = resource.properties.get(OWNER).and_then(Value::as_str).and_then(|text| id(text).ok());
    owner.map(|owner| (OWNER.to_owned(), Value::from(owner))).into_iter().collect()
}

/// A body that could be read as a question.
pub(super) struct Question<B, Q>(pub(super) Q, PhantomData<B>);

impl<B, Q> FromRequest for Question<B, Q>
where
    B: DeserializeOwned + 'static,
    Q: TryFrom<B, Error = Error> + 'static,
{
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Json::<B, QUESTION_LIMIT>::from_request(request, payload);
        Box::pin(async move {
            let Json(body) = body.await.map_err(unreadable)?;
            Ok(Self(Q::try_from(body).map_err(|error| unreadable(error.into()))?, PhantomData))
        })
    }
}

/// 400 in the place of 422, with every field that is to blame, and all of them in the sentence.
pub(super) fn unreadable(problem: Problem) -> Problem {
    let error = problem.error();
    let sentence = blame(error);
    if sentence.is_empty() {
        return problem;
    }
    let refused = Error::invalid("permissions.malformed_evaluation", sentence);
    Problem::bad_request(Error { fields: error.fields.clone(), ..refused })
}

/// Every field that is to blame, in a sentence.
pub(super) fn blame(error: &Error) -> String {
    let blame = |field: &Field| format!("{}: {}", field.pointer, field.message);
    error.fields.iter().map(blame).collect::<Vec<String>>().join(" ")
}
