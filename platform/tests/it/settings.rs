//! Settings: who wins over whom, and what a person is told who made a mistake.

use std::io;

use platform::settings::{Secret, SettingsError, Source, load, load_with_sources};
use serde::Deserialize;
use serde_json::json;

const DEFAULTS: &str = r#"
profile = "development"
data_dir = "doorward-data"
modules = ["auth", "users"]

[server.public]
address = "127.0.0.1:8080"
workers = 0

[database]
url = "sqlite:doorward.db"
pool = { idle_seconds = 60, share = 0.5 }

[smtp]
url = ""
password = ""
tls = true

[limits]
logins = 5
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    profile: Profile,
    data_dir: String,
    modules: Vec<String>,
    server: Server,
    database: Database,
    smtp: Smtp,
    limits: Limits,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Profile {
    Development,
    Production,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    public: Listener,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    address: std::net::SocketAddr,
    workers: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    url: Secret<String>,
    pool: Pool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    idle_seconds: u32,
    share: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Smtp {
    url: String,
    password: Secret<String>,
    tls: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    logins: u8,
}

fn read_file(path: &str) -> io::Result<String> {
    match path {
        "/run/secrets/smtp" => Ok("007\n".to_owned()),
        "/run/secrets/address" => Ok(" 0.0.0.0:80 \n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn loaded(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load(DEFAULTS, Some(("doorward.toml", file)), &environment, read_file)
}

fn mistake(file: &str, environment: &[(&str, &str)]) -> String {
    loaded(file, environment).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_settings() {
    let settings: Settings = load(DEFAULTS, None, &[], read_file).unwrap();
    assert_eq!(settings.profile, Profile::Development);
    assert_eq!((settings.data_dir.as_str(), settings.modules.len()), ("doorward-data", 2));
    assert_eq!(settings.database.pool.idle_seconds, 60);
    assert!(settings.smtp.url.is_empty());
}

#[test]
fn a_file_wins_over_defaults_and_the_environment_over_both() {
    let file = "[server.public]\naddress = \"10.0.0.1:1\"\nworkers = 3\n[database.pool]\nshare = 1\n";
    let settings = loaded(
        file,
        &[
            ("DOORWARD__SERVER__PUBLIC__WORKERS", "4"),
            ("doorward__smtp__tls", "false"),
            ("DOORWARD__MODULES", "auth, permissions,"),
            ("DOORWARD__DATABASE__POOL__IDLE_SECONDS", "7"),
            ("DOORWARD_PROFILE", "production"),
            ("PATH", "/bin"),
            ("DOORWARD_SERVICE_HOST", "10.0.0.1"),
            ("DOORWARD_TEST_POSTGRES_URL", "postgres://…"),
        ],
    )
    .unwrap();
    assert_eq!(settings.server.public.address.to_string(), "10.0.0.1:1");
    assert_eq!(settings.server.public.workers, 4);
    assert!(!settings.smtp.tls);
    assert_eq!(settings.modules, ["auth", "permissions"]);
    assert_eq!((settings.database.pool.idle_seconds, settings.database.pool.share), (7, 1.0));
    assert_eq!(settings.profile, Profile::Production);
}

#[test]
fn a_secret_comes_from_a_file_as_it_is() {
    let environment = [
        ("DOORWARD__SMTP__PASSWORD_FILE", "/run/secrets/smtp"),
        ("DOORWARD__SERVER__PUBLIC__ADDRESS_FILE", "/run/secrets/address"),
    ];
    let settings = loaded("", &environment).unwrap();
    assert_eq!(settings.smtp.password.expose(), "007", "a text, although it looks like a number");
    assert_eq!(settings.server.public.address.port(), 80);
    assert_eq!(format!("{:?}", settings.database.url), "***");
}

#[test]
fn where_a_setting_came_from_can_be_told() {
    let environment = [("DOORWARD__LIMITS__LOGINS".to_owned(), "9".to_owned())];
    let loaded = load_with_sources::<Settings>(
        DEFAULTS,
        Some(("a.toml", "data_dir = \"x\"")),
        &environment,
        read_file,
    )
    .unwrap();
    assert_eq!(loaded.settings.limits.logins, 9);
    assert_eq!(loaded.sources["data_dir"], Source::File("a.toml".to_owned()));
    assert_eq!(loaded.sources["limits.logins"], Source::Variable("DOORWARD__LIMITS__LOGINS".to_owned()));
    assert_eq!(loaded.sources.len(), 2);
    assert_eq!((&loaded.values["data_dir"], &loaded.values["limits"]["logins"]), (&json!("x"), &json!(9)));
}

#[test]
fn a_section_with_nothing_in_it_means_the_defaults() {
    let values = |file: &str| {
        let loaded = load_with_sources::<Settings>(DEFAULTS, Some(("a.toml", file)), &[], read_file).unwrap();
        (loaded.values, loaded.sources.len())
    };
    let files = [
        "[smtp]",
        "[smtp]\n# url = \"\"",
        "smtp = {}",
        "[server]",
        "[server.public]\n[smtp]",
        "[database.pool]",
    ];
    for file in files {
        assert_eq!(values(file), values(""), "{file}");
    }
    assert_eq!(values("[smtp]\n[limits]\nlogins = 9").1, 1);
    insta::assert_snapshot!(mistake("[stmp]", &[]), @"there is no setting `stmp` (file doorward.toml)");
    insta::assert_snapshot!(mistake("[profile]", &[]), @"the setting `profile` must be a text (file doorward.toml)");
}

#[test]
fn a_mistake_is_told_with_its_place_and_a_hint() {
    insta::assert_snapshot!(mistake("[server.public]\nadress = \"x\"", &[]), @"there is no setting `server.public.adress` (file doorward.toml); did you mean `server.public.address`?");
    insta::assert_snapshot!(mistake("[databse]\nurl = \"x\"", &[]), @"there is no setting `databse.url` (file doorward.toml); did you mean `database.url`?");
    insta::assert_snapshot!(mistake("[server]\naddress = \"x\"", &[]), @"there is no setting `server.address` (file doorward.toml); did you mean `server.public.address`?");
    insta::assert_snapshot!(mistake("zzz = 1", &[]), @"there is no setting `zzz` (file doorward.toml)");
    insta::assert_snapshot!(mistake("profile = 1", &[]), @"the setting `profile` must be a text (file doorward.toml)");
    insta::assert_snapshot!(mistake("profile = \"staging\"", &[]), @"the setting `profile` must be `development` or `production` (file doorward.toml)");
    insta::assert_snapshot!(mistake("modules = \"auth\"", &[]), @"the setting `modules` must be a list (file doorward.toml)");
    insta::assert_snapshot!(mistake("[limits]\nlogins = 300", &[]), @"the setting `limits.logins` must be a whole number from 0 to 255 (file doorward.toml)");
    insta::assert_snapshot!(mistake("[limits]\nlogins = -1", &[]), @"the setting `limits.logins` must be a whole number from 0 to 255 (file doorward.toml)");
    insta::assert_snapshot!(mistake("[server.public]\naddress = \"nowhere\"", &[]), @"the setting `server.public.address` is not good: invalid socket address syntax (file doorward.toml)");
    insta::assert_snapshot!(mistake("x = = 1", &[]), @"file doorward.toml is not TOML: line 1: extra `=`, expected nothing");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__LIMITS__LOGIN", "1")]), @"there is no setting `limits.login` (environment variable DOORWARD__LIMITS__LOGIN); did you mean `limits.logins`?");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__LIMITS__LOGINS", "many")]), @"the setting `limits.logins` must be a whole number (environment variable DOORWARD__LIMITS__LOGINS)");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__SMTP__TLS", "yes")]), @"the setting `smtp.tls` must be true or false (environment variable DOORWARD__SMTP__TLS)");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__SERVER", "x")]), @"there is no setting `server` (environment variable DOORWARD__SERVER)");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__", "x")]), @"there is no setting `` (environment variable DOORWARD__)");
    insta::assert_snapshot!(mistake("", &[("DOORWARD_DATABASE_URL", "x")]), @"there is no setting `DOORWARD_DATABASE_URL` (environment variable DOORWARD_DATABASE_URL); did you mean `DOORWARD__DATABASE__URL`?");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__SMTP__PASSWORD_FILE", "/nowhere")]), @"the setting `smtp.password` can't be read from file /nowhere (environment variable DOORWARD__SMTP__PASSWORD_FILE): entity not found");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__SMTP__PASSWRD_FILE", "/run/secrets/smtp")]), @"there is no setting `smtp.passwrd_file` (environment variable DOORWARD__SMTP__PASSWRD_FILE); did you mean `smtp.password`?");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__PROFILE", "production"), ("DOORWARD_PROFILE", "development")]), @"the setting `profile` is given twice: environment variable DOORWARD__PROFILE and environment variable DOORWARD_PROFILE");
    insta::assert_snapshot!(mistake("", &[("DOORWARD__SMTP__PASSWORD", "a"), ("DOORWARD__SMTP__PASSWORD_FILE", "/run/secrets/smtp")]), @"the setting `smtp.password` is given twice: environment variable DOORWARD__SMTP__PASSWORD and file /run/secrets/smtp (environment variable DOORWARD__SMTP__PASSWORD_FILE)");
}

#[test]
fn no_sentence_repeats_a_value() {
    for text in [
        mistake("[smtp]\npassword = 31337", &[]),
        mistake("[smtp]\npassword = \"31337", &[]),
        mistake("password = \"31337\"", &[]),
        mistake("[server.public]\naddress = \"31337\"", &[]),
        mistake("profile = \"31337\"", &[]),
        mistake("", &[("DOORWARD__LIMITS__LOGINS", "31337")]),
        mistake("", &[("DOORWARD__LIMITS__LOGIN", "31337")]),
        mistake("", &[("DOORWARD__SERVER__PUBLIC__WORKERS", "x31337")]),
    ] {
        assert!(!text.contains("31337"), "{text}");
    }
}
