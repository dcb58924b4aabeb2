//! The house rules that a compiler doesn't know: who may depend on whom, which rooms a module has, which words belong
//! where, and that the two databases have the same migrations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};
use regex::Regex;

const MODULES: [&str; 4] = ["auth", "users", "permissions", "notifications"];

/// Who depends on whom. Cargo builds this graph; this constant is what it must be.
const EDGES: [(&str, &[&str]); 9] = [
    ("doorward", &["auth", "contracts", "notifications", "permissions", "platform", "users"]),
    ("doorward-auth", &["contracts", "platform"]),
    ("doorward-bench", &[]),
    ("doorward-contracts", &[]),
    ("doorward-notifications", &["contracts", "platform"]),
    ("doorward-permissions", &["contracts", "platform"]),
    ("doorward-platform", &["contracts"]),
    ("doorward-testkit", &["contracts", "platform"]),
    ("doorward-users", &["contracts", "platform"]),
];

/// Libraries with one home.
const HOMES: [(&str, &[&str]); 7] = [
    ("argon2", &["doorward-auth", "doorward-bench"]),
    ("lapin", &["doorward-platform", "doorward-testkit"]),
    ("lettre", &["doorward-notifications"]),
    ("minijinja", &["doorward-notifications"]),
    ("redis", &["doorward-platform", "doorward-testkit"]),
    ("tokio-postgres", &["doorward-bench", "doorward-platform", "doorward-testkit"]),
    ("clap", &["doorward", "doorward-bench"]),
];

/// The rooms of a module; each is a file, or a folder of the same name.
const ROOMS: [&str; 9] =
    ["error", "events", "http", "lib", "model", "schema", "service", "settings", "store"];

/// The rooms of the platform.
const PLATFORM_ROOMS: [&str; 19] = [
    "audit",
    "bus",
    "cache",
    "clock",
    "db",
    "forgotten",
    "http",
    "idempotency",
    "inbox",
    "lib",
    "limits",
    "metrics",
    "outbox",
    "peers",
    "redis",
    "schema",
    "settings",
    "telemetry",
    "tokens",
];

/// Names that say nothing, so that everything ends up in them.
const NOWHERE: [&str; 9] =
    ["common", "core", "helper", "helpers", "manager", "misc", "shared", "util", "utils"];

/// How many fragments may differ by dialect outside of the database room. Each is decided in one place, with both
/// dialects side by side; raise this only with a reason in the change's description.
const DIALECT_FRAGMENTS: usize = 0;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            walk(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// Every file of the project with that ending, as a path from the root and its text.
fn files(extension: &str) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in ["app", "bench", "contracts", "platform", "modules", "testkit", "migrations"] {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect()
}

/// The code of a file, without its comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn crates_depend_only_on_whom_they_may() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let mut edges = BTreeMap::new();
    let mut homes: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        let normal =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        let own: BTreeSet<String> = normal
            .clone()
            .filter_map(|dependency| dependency.name.strip_prefix("doorward-").map(ToOwned::to_owned))
            .collect();
        edges.insert(package.name.to_string(), own);
        for (library, _) in HOMES {
            if normal.clone().any(|dependency| dependency.name == library) {
                homes.entry(library).or_default().insert(package.name.to_string());
            }
        }
    }
    let wanted: BTreeMap<String, BTreeSet<String>> = EDGES
        .iter()
        .map(|(name, to)| ((*name).to_owned(), to.iter().map(|to| (*to).to_owned()).collect()))
        .collect();
    assert_eq!(edges, wanted, "the crate graph changed");
    for (library, home) in HOMES {
        let found = homes.remove(library).unwrap_or_default();
        assert_eq!(found, home.iter().map(|name| (*name).to_owned()).collect(), "who uses {library}");
    }
}

#[test]
fn every_crate_keeps_the_shared_lints() {
    let mut manifests: Vec<String> = MODULES.iter().map(|module| format!("modules/{module}")).collect();
    manifests.extend(["app", "bench", "contracts", "platform", "testkit"].map(ToOwned::to_owned));
    let versions = Regex::new(r#"(?m)^[a-z0-9_-]+ = "[0-9]"#).unwrap();
    for folder in manifests {
        let text = fs::read_to_string(root().join(&folder).join("Cargo.toml")).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{folder} has lints of its own");
        assert!(!versions.is_match(&text), "{folder} has a dependency version of its own");
    }
}

fn rooms(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_module_has_the_same_rooms() {
    for module in MODULES {
        let folder = root().join("modules").join(module);
        assert_eq!(rooms(&folder.join("src")), ROOMS.map(ToOwned::to_owned).into(), "rooms of {module}");
        for file in
            ["README.md", "tests/it/main.rs", "tests/it/http.rs", "tests/it/contract.rs", "tests/it/store.rs"]
        {
            let as_folder = folder.join(file.trim_end_matches(".rs")).is_dir();
            assert!(folder.join(file).is_file() || as_folder, "{module} has no {file}");
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        for word in ["Owns", "Asks", "Answers", "Emits", "Hears"] {
            assert!(readme.contains(word), "the README of {module} does not say what it {word}");
        }
    }
    assert_eq!(rooms(&root().join("platform/src")), PLATFORM_ROOMS.map(ToOwned::to_owned).into());
}

#[test]
fn files_say_why_they_exist_and_stay_short() {
    let mut found = Vec::new();
    for (path, text) in files("rs") {
        if !text.starts_with("//!") {
            found.push(format!("{path} does not begin with //!"));
        }
        let lines = text.lines().count();
        if lines > 500 {
            found.push(format!("{path} has {lines} lines"));
        }
        let stem = Path::new(&path).file_stem().unwrap().to_str().unwrap().to_owned();
        let parts = path.split('/').map(ToOwned::to_owned).chain([stem]);
        if parts.clone().any(|part| NOWHERE.contains(&part.as_str())) {
            found.push(format!("{path} has a name that says nothing"));
        }
    }
    assert_none(&found, "files");
}

fn inside(path: &str, room: &str) -> bool {
    path.contains(&format!("/src/{room}/")) || path.ends_with(&format!("/{room}.rs"))
}

#[test]
fn words_stay_in_their_rooms() {
    let diesel = Regex::new(r"\bdiesel(_async|_migrations)?\b").unwrap();
    let actix = Regex::new(r"\bactix_web::").unwrap();
    let tables = Regex::new(r"\bdiesel_async::RunQueryDsl\b").unwrap();
    let environment = Regex::new(r"\bstd::env::|\benv::(var|vars)\b").unwrap();
    let mut found = Vec::new();
    for (path, text) in files("rs").into_iter().filter(|(path, _)| path.contains("/src/")) {
        let code = code(&text);
        // A tool that looks at everything from outside.
        if path.starts_with("bench/") {
            continue;
        }
        let store = inside(&path, "store") || inside(&path, "schema") || path.starts_with("platform/src/db/");
        let derives = path.starts_with("contracts/src/");
        if diesel.is_match(&code) && !store && !derives {
            found.push(format!("{path} says diesel"));
        }
        if derives && tables.is_match(&code) {
            found.push(format!("{path} queries"));
        }
        let web = inside(&path, "http")
            || path.starts_with("platform/src/http/")
            || path.starts_with("app/")
            || path.starts_with("testkit/")
            || path == "contracts/src/wire.rs";
        if actix.is_match(&code) && !web {
            found.push(format!("{path} says actix_web"));
        }
        if environment.is_match(&code) && path != "app/src/settings.rs" && !path.starts_with("testkit/") {
            found.push(format!("{path} reads the environment"));
        }
    }
    assert_none(&found, "words outside their rooms");
}

#[test]
fn spans_never_hold_arguments_by_themselves() {
    let instruments = Regex::new(r"#\[(?:tracing::)?instrument(?:\(([^\]]*)\))?\]").unwrap();
    let mut found = Vec::new();
    for (path, text) in files("rs").into_iter().filter(|(path, _)| path.contains("/src/")) {
        for span in instruments.captures_iter(&code(&text)) {
            if !span.get(1).is_some_and(|arguments| arguments.as_str().contains("skip_all")) {
                found.push(path.clone());
            }
        }
    }
    assert_none(&found, "an instrument without skip_all, which would log the arguments");
}

#[test]
fn fragments_that_differ_by_dialect_are_counted() {
    let mut found = Vec::new();
    for (path, text) in files("rs").into_iter().filter(|(path, _)| path.contains("/src/")) {
        if path.starts_with("platform/src/db/") || path.starts_with("app/") || path.starts_with("testkit/") {
            continue;
        }
        let count = code(&text).matches("Db::Sqlite").count();
        found.extend(std::iter::repeat_n(path, count));
    }
    assert_eq!(found.len(), DIALECT_FRAGMENTS, "{found:?}");
}

fn migrations(engine: &str) -> BTreeMap<String, String> {
    let base = root().join("migrations").join(engine);
    let mut paths = Vec::new();
    walk(&base, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect()
}

#[test]
fn migrations_are_twins_with_stamps_of_their_own() {
    let (postgres, sqlite) = (migrations("postgres"), migrations("sqlite"));
    let names = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&postgres), names(&sqlite), "a migration without its twin");
    let mut stamps = BTreeMap::new();
    let shape = Regex::new(r"^([a-z]+)/(\d{4}-\d\d-\d\d-\d{6})_[a-z0-9_]+/(up|down)\.sql$").unwrap();
    for path in names(&postgres) {
        let parts = shape.captures(&path).unwrap_or_else(|| panic!("{path} is not module/stamp_name/up.sql"));
        assert!(MODULES.contains(&&parts[1]) || &parts[1] == "platform", "{path}");
        let folder = path.rsplit_once('/').unwrap().0.to_owned();
        let other = stamps.insert(parts[2].to_owned(), folder.clone());
        assert!(other.is_none_or(|other| other == folder), "two migrations have the stamp {}", &parts[2]);
    }
}

#[test]
fn every_migration_is_built_in() {
    for module in MODULES.iter().chain(&["platform"]) {
        let lib = match *module {
            "platform" => "platform/src/lib.rs".to_owned(),
            module => format!("modules/{module}/src/lib.rs"),
        };
        let text = fs::read_to_string(root().join(lib)).unwrap();
        for folder in rooms(&root().join("migrations/postgres").join(module)) {
            assert!(
                text.contains(&format!("\"{folder}\"")),
                "the migration {folder} of {module} is not built in"
            );
        }
    }
}

#[test]
fn tables_carry_the_name_of_their_module_and_refer_to_no_other() {
    let created = Regex::new(r"(?i)create table (?:if not exists )?(\w+)").unwrap();
    let referred = Regex::new(r"(?i)references (\w+)").unwrap();
    let indexed = Regex::new(r"(?i)create (?:unique )?index (?:if not exists )?(\w+) on (\w+)").unwrap();
    let mut found = Vec::new();
    for (path, sql) in migrations("postgres").into_iter().chain(migrations("sqlite")) {
        let module = path.split('/').next().unwrap().to_owned();
        let own = |table: &str| table.starts_with(&format!("{module}_"));
        let names =
            created.captures_iter(&sql).chain(referred.captures_iter(&sql)).map(|name| name[1].to_owned());
        let indexes = indexed.captures_iter(&sql).flat_map(|name| [name[1].to_owned(), name[2].to_owned()]);
        found.extend(names.chain(indexes).filter(|name| !own(name)).map(|name| format!("{path}: {name}")));
        if path.contains("sqlite") && sql.to_lowercase().contains("create table") && !sql.contains("STRICT") {
            found.push(format!("{path}: a table that is not STRICT"));
        }
    }
    assert_none(&found, "tables outside their module");
}

#[test]
fn inserted_rows_never_lean_on_defaults_of_the_database() {
    let derives = Regex::new(r"(?s)derive\([^)]*\bInsertable\b[^)]*\)\]\s*((?:#\[[^\]]*\]\s*)*)").unwrap();
    let mut found = Vec::new();
    for (path, text) in files("rs").into_iter().filter(|(path, _)| path.contains("/src/")) {
        for row in derives.captures_iter(&code(&text)) {
            if !row[1].contains("treat_none_as_default_value = false") {
                found.push(path.clone());
            }
        }
    }
    assert_none(&found, "an Insertable without treat_none_as_default_value = false");
}

#[test]
fn the_tests_that_are_named_in_the_table_of_holes_exist() {
    let table = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let named = Regex::new(r"`(\w+)/(\w+)::(\w+)`").unwrap();
    let sources = files("rs");
    let exists = |house: &str, file: &str, name: &str| {
        let told = Regex::new(&format!(r"(?m)^\s*(?:async )?fn {name}\(")).unwrap();
        sources.iter().any(|(path, text)| {
            let is_file =
                [format!("/{file}.rs"), format!("/{file}/mod.rs")].iter().any(|end| path.ends_with(end));
            is_file
                && path.trim_start_matches("modules/").starts_with(&format!("{house}/"))
                && told.is_match(text)
        })
    };
    let all: Vec<_> = named.captures_iter(&table).collect();
    assert!(all.len() > 100, "docs/security.md names its tests otherwise than this looks for");
    let found: Vec<String> =
        all.iter().filter(|one| !exists(&one[1], &one[2], &one[3])).map(|one| one[0].to_owned()).collect();
    assert_none(&found, "docs/security.md names tests that there are not");
}
