//! Queries, paths, pages, cursors and entity tags.

use actix_web::test::TestRequest;
use actix_web::{HttpResponse, web};
use platform::http::{Cursors, ETag, IfMatch, Limit, Page, PageQuery, Path, Problem, Query};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::http_support::{Answer, Stage, send};

#[derive(Debug, Deserialize)]
struct Filter {
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
    q: Option<String>,
    active: Option<bool>,
}

async fn filtered(Query(filter): Query<Filter>) -> String {
    let Filter { limit, cursor, q, active } = filter;
    format!("{} {cursor:?} {q:?} {active:?}", limit.get())
}

async fn listed(Query(page): Query<PageQuery>) -> Result<Page<u32>, Problem> {
    let cursors = Cursors::new(&[7; 32]);
    let from = page.cursor.map(|cursor| cursors.decode("numbers", &cursor)).transpose()?.unwrap_or(0);
    let next = from + page.limit.get();
    let next_cursor = (next < 100).then(|| cursors.encode("numbers", &next)).transpose()?;
    Ok(Page { items: (from..next.min(100)).collect(), next_cursor })
}

async fn one(Path(id): Path<uuid::Uuid>) -> String {
    id.to_string()
}

async fn named(Path(name): Path<String>) -> String {
    name
}

async fn tagged(condition: IfMatch) -> Result<HttpResponse, Problem> {
    condition.check(7)?;
    Ok(HttpResponse::Ok().insert_header(ETag::revision(8)).finish())
}

async fn strict(condition: IfMatch) -> Result<HttpResponse, Problem> {
    condition.required()?.check(7)?;
    Ok(HttpResponse::Ok().finish())
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/filtered", web::get().to(filtered))
        .route("/numbers", web::get().to(listed))
        .route("/things/{id}", web::get().to(one))
        .route("/names/{name}", web::get().to(named))
        .route("/tagged", web::get().to(tagged))
        .route("/strict", web::get().to(strict));
}

async fn get(path: &str) -> Answer {
    send(&Stage::new(), routes, TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn a_query_is_typed() {
    assert_eq!(get("/filtered").await.text, "50 None None None");
    let answer = get("/filtered?limit=7&q=J%C3%BCrgen+M&active=true").await;
    assert_eq!(answer.text, "7 None Some(\"Jürgen M\") Some(true)");
}

#[actix_web::test]
async fn a_parameter_that_is_not_good_is_named() {
    for (query, pointer, code) in [
        ("limit=0", "/limit", "invalid_value"),
        ("limit=201", "/limit", "invalid_value"),
        ("limit=1000000000", "/limit", "invalid_value"),
        ("limit=-1", "/limit", "invalid_value"),
        ("limit=many", "/limit", "invalid_value"),
        ("limit=", "/limit", "invalid_value"),
        ("active=perhaps", "/active", "invalid_value"),
        ("nope=1", "/nope", "unknown_field"),
        ("q=1&q=2", "/q", "duplicate_field"),
        ("nope=1&nope=2", "/nope", "duplicate_field"),
        ("q=a%00b", "/q", "invalid_character"),
        ("q=%FF", "/q", "invalid_character"),
    ] {
        let (status, problem, fields) = get(&format!("/filtered?{query}")).await.problem();
        assert_eq!((status, problem.as_str()), (400, "platform.invalid_query"), "{query}");
        assert_eq!(fields.first().map(|(pointer, _)| pointer.as_str()), Some(pointer), "{query}");
        assert_eq!(fields.first().map(|(_, code)| code.as_str()), Some(code), "{query}");
    }
}

#[actix_web::test]
async fn a_path_that_names_nothing_is_not_found() {
    let id = uuid::Uuid::now_v7();
    assert_eq!(get(&format!("/things/{id}")).await.text, id.to_string());
    for bad in ["/things/7", "/things/%00", "/things/me", "/names/a%00b", "/names/%FF%FE", "/names/a%0Ab"] {
        assert_eq!(get(bad).await.problem().0, 404, "{bad}");
    }
    assert_eq!(get("/names/J%C3%BCrgen%20%26%20Co").await.text, "Jürgen & Co");
    assert_eq!(get("/names/a+b=c&d").await.text, "a+b=c&d");
}

#[actix_web::test]
async fn pages_lead_from_one_to_the_next() {
    let first = get("/numbers?limit=60").await;
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let link = format!("</numbers?limit=60&cursor={cursor}>; rel=\"next\"");
    assert_eq!((first.json()["items"].as_array().unwrap().len(), first.header("link")), (60, link.as_str()));
    let second = get(&format!("/numbers?limit=60&cursor={cursor}")).await;
    assert_eq!(second.json()["items"].as_array().unwrap().len(), 40);
    assert!(second.json()["next_cursor"].is_null() && second.header("link").is_empty());
}

#[actix_web::test]
async fn an_edited_cursor_is_refused() {
    let cursor = get("/numbers").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let foreign = Cursors::new(&[7; 32]).encode("letters", &50).unwrap();
    let other_key = Cursors::new(&[8; 32]).encode("numbers", &50).unwrap();
    let beheaded = cursor.get(1..).unwrap();
    let swapped = format!("A{beheaded}");
    for bad in [
        "",
        "x",
        "====",
        beheaded,
        &format!("{cursor}A"),
        &format!("{cursor}="),
        &foreign,
        &other_key,
        &swapped,
    ] {
        let (status, code, _) = get(&format!("/numbers?cursor={bad}")).await.problem();
        assert_eq!((status, code.as_str()), (400, "platform.invalid_cursor"), "{bad}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Position {
    name: String,
    id: i64,
}

proptest! {
    #[test]
    fn no_text_is_a_cursor_by_chance(list in ".{0,20}", cursor in ".{0,200}") {
        prop_assert!(Cursors::new(&[1; 32]).decode::<serde_json::Value>(&list, &cursor).is_err());
    }

    #[test]
    fn a_cursor_comes_back_as_it_went(list in ".{0,20}", name in ".{0,50}", id: i64, flip in 0_usize..100) {
        let cursors = Cursors::new(&[1; 32]);
        let position = Position { name, id };
        let cursor = cursors.encode(&list, &position).unwrap();
        prop_assert_eq!(cursors.decode::<Position>(&list, &cursor).unwrap(), position);
        let other = list.clone() + "x";
        prop_assert!(cursors.decode::<Position>(&other, &cursor).is_err());
        let mut bytes = cursor.into_bytes();
        let place = flip % bytes.len();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        prop_assert!(cursors.decode::<Position>(&list, &String::from_utf8(bytes).unwrap()).is_err());
    }
}

#[actix_web::test]
async fn a_change_is_made_to_the_state_it_was_meant_for() {
    let ask = async |path: &'static str, tags: &[&str]| {
        let request = tags
            .iter()
            .fold(TestRequest::get().uri(path), |request, tag| request.append_header(("if-match", *tag)));
        send(&Stage::new(), routes, request).await
    };
    let good = ask("/tagged", &["\"7\""]).await;
    assert_eq!((good.status.as_u16(), good.header("etag")), (200, "\"8\""));
    for good in [&[][..], &["*"], &["\"6\", \"7\""], &["\"6\"", "\"7\""], &["\"foreign\" ,\"7\""]] {
        assert_eq!(ask("/tagged", good).await.status, 200, "{good:?}");
    }
    for stale in [&["\"6\""][..], &["\"foreign\""], &["W/\"7\""], &["\"07\""], &["\"\""], &["\"+7\""]] {
        let (status, code, _) = ask("/tagged", stale).await.problem();
        assert_eq!((status, code.as_str()), (412, "platform.precondition_failed"), "{stale:?}");
    }
    for bad in [&["7"][..], &[""], &["\"7"], &["*, \"7\""], &["\"7\","]] {
        assert_eq!(ask("/tagged", bad).await.problem().1, "platform.invalid_if_match", "{bad:?}");
    }
    assert_eq!(ask("/strict", &[]).await.problem().0, 428);
    assert_eq!(ask("/strict", &["\"7\""]).await.status, 200);
}
