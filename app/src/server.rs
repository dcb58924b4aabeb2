//! The two listeners, from opening their doors to closing them.
//!
//! Public: the API, its documentation, and in development the mailbox. Management: metrics, liveness, readiness, and what
//! modules in other processes ask; nothing that a user calls.
//!
//! While everything is being made, which takes long where tables are changed, the management listener tells that the process
//! lives and is not ready. A stop that is asked for first says that Doorward is not ready any more, then closes the public door
//! and lets what is inside finish, and ends the workers and what other services have asked last.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::{KeepAlive, header};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer, get};
use contracts::{Error, Module};
use platform::http::{Methods, Problem, Problems, RequestContext, fallback};
use rustls::ServerConfig;
use utoipa_actix_web::AppExt;

use crate::compose::{self, House};
use crate::docs::{self, Documents};
use crate::health::within_reach;
use crate::pulse::Pulse;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::tls::note_certificate;
use crate::{StartError, asyncapi, openapi, say};

/// How long somebody in the waiting room may take to ask, and the room to close.
const SHORT: Duration = Duration::from_secs(1);

/// Runs until it is asked to stop.
pub(crate) async fn serve(settings: Settings) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    let tls = settings.server.management.tls.server()?;
    let public = listen("server.public.address", settings.server.public.address)?;
    let management = listen("server.management.address", settings.server.management.address)?;
    let addresses = Addresses { public: bound(&public)?, management: bound(&management)? };
    let house = tokio::select! {
        house = start(&settings, addresses.public, &management, tls.clone()) => house?,
        () = signals.received() => {
            tracing::info!("Doorward was asked to stop while it started.");
            return Ok(());
        }
    };

    let ready = Readiness::default();
    let document = openapi::document();
    let public = welcome(public, &house, &settings, &ready, &document)?;
    let management = manage(management, tls, &house, &settings, &ready)?;
    let workers = house.work();
    ready.set(true);
    say(&greeting(&settings, addresses, &house))?;
    tracing::info!(public = %addresses.public, management = %addresses.management, "Doorward is ready.");

    let (public_door, management_door) = (public.handle(), management.handle());
    let stop = async {
        signals.received().await;
        tracing::info!("Doorward was asked to stop.");
        ready.set(false);
        tokio::time::sleep(Duration::from_secs(settings.server.drain_seconds)).await;
        house.end_streams();
        public_door.stop(true).await;
        // Both at once, so that a stop never takes longer than the grace twice.
        let grace = Duration::from_secs(settings.server.grace_seconds);
        tokio::join!(workers.end(grace), management_door.stop(true));
    };
    let (public, management, ()) = tokio::join!(public, management, stop);
    house.close();
    public.and(management).map_err(|error| StartError::because("A listener failed", error))
}

/// Makes everything.
async fn start(
    settings: &Settings,
    public: SocketAddr,
    management: &TcpListener,
    tls: Option<ServerConfig>,
) -> Result<House, StartError> {
    let room = waiting_room(management, tls)?;
    let door = room.handle();
    let making = async {
        let house = compose::house(settings, public).await;
        // Whoever comes now is answered by what is made next: the listener stays open.
        door.stop(true).await;
        house
    };
    let (house, room) = tokio::join!(making, room);
    let house = house?;
    room.map_err(unserved)?;
    Ok(house)
}

#[derive(Clone, Copy)]
struct Addresses {
    public: SocketAddr,
    management: SocketAddr,
}

fn listen(setting: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let sentence = format!("Nothing can listen on {address}; set `{setting}` to a free address");
    let listener = TcpListener::bind(address).map_err(|error| StartError::because(&sentence, error))?;
    listener.set_nonblocking(true).map_err(|error| StartError::because(&sentence, error))?;
    Ok(listener)
}

fn bound(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::because("A listener has no address", error))
}

/// The public listener.
fn welcome(
    listener: TcpListener,
    house: &House,
    settings: &Settings,
    ready: &Readiness,
    document: &utoipa::openapi::OpenApi,
) -> Result<Server, StartError> {
    let unwritten = |error| StartError::because("No document of the interface", error);
    let documents = Documents {
        openapi: openapi::text(document).map_err(unwritten)?.into(),
        asyncapi: asyncapi::text().map_err(unwritten)?.into(),
    };
    // What is not in the document is a page or a file of one.
    let methods = Data::new(Methods::of(document).others("GET"));
    let documents = Data::new(documents);
    let (house, ready, here) = (house.clone(), Data::new(ready.clone()), settings.here());
    let mailbox = shows_mailbox(settings);
    let server = HttpServer::new(move || {
        let (app, _) = App::new()
            .wrap(RequestContext)
            .app_data(documents.clone())
            .app_data(methods.clone())
            .app_data(ready.clone())
            .configure(|app| house.furnish(app))
            .into_utoipa_app()
            .configure(openapi::routes(&here))
            .split_for_parts();
        let app = app.configure(docs::routes);
        let app = if mailbox { app.configure(notifications::dev_routes) } else { app };
        app.default_service(web::to(fallback))
    });
    let server = server
        .disable_signals()
        .shutdown_timeout(settings.server.grace_seconds)
        .client_request_timeout(Duration::from_millis(settings.server.header_timeout_ms))
        .listen(listener);
    Ok(server.map_err(unserved)?.run())
}

/// The management listener while there is nothing behind it yet.
fn waiting_room(listener: &TcpListener, tls: Option<ServerConfig>) -> Result<Server, StartError> {
    let listener = listener.try_clone().map_err(unserved)?;
    let server =
        HttpServer::new(|| App::new().wrap(RequestContext).service(livez).default_service(web::to(starting)));
    let server = server
        .disable_signals()
        .workers(1)
        .shutdown_timeout(SHORT.as_secs())
        .client_request_timeout(SHORT)
        .keep_alive(KeepAlive::Disabled);
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls),
        None => server.listen(listener),
    };
    Ok(server.map_err(unserved)?.run())
}

async fn starting() -> Result<HttpResponse, Problem> {
    Err(Error::unavailable("platform.starting", "The service is starting.").retry_after(1).into())
}

/// The management listener.
fn manage(
    listener: TcpListener,
    tls: Option<ServerConfig>,
    house: &House,
    settings: &Settings,
    ready: &Readiness,
) -> Result<Server, StartError> {
    let house = house.clone();
    let (pulse, ready) = (Data::from(house.pulse.clone()), Data::new(ready.clone()));
    let methods = Data::new(Methods::default().others("GET"));
    let server = HttpServer::new(move || {
        App::new()
            .wrap(RequestContext)
            .app_data(pulse.clone())
            .app_data(ready.clone())
            .app_data(methods.clone())
            .service(livez)
            .service(readyz)
            .service(metrics)
            .configure(|app| house.internal_routes(app))
            .default_service(web::to(fallback))
    });
    // Kept for longer than peers keep idle connections, so that an ask never meets a closing one.
    let server = server
        .disable_signals()
        .shutdown_timeout(settings.server.grace_seconds)
        .keep_alive(Duration::from_secs(75))
        .on_connect(note_certificate);
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls),
        None => server.listen(listener),
    };
    Ok(server.map_err(unserved)?.run())
}

fn unserved(error: std::io::Error) -> StartError {
    StartError::because("A listener can't be served", error)
}

/// Whether Doorward takes requests.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// Whether the process runs
///
/// Anybody may ask; the answer has no detail.
#[utoipa::path(tag = "platform", responses((status = 200, description = "It runs."), Problems))]
#[get("/livez")]
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// Whether requests can be served
///
/// Anybody may ask; the answer has no detail. It is 503 while the database does not answer and from the moment on that
/// a stop was asked for.
#[utoipa::path(tag = "platform", responses((status = 200, description = "It takes requests."), Problems))]
#[get("/readyz")]
pub(crate) async fn readyz(pulse: Data<Pulse>, ready: Data<Readiness>) -> Result<HttpResponse, Problem> {
    if !ready.0.load(Ordering::Relaxed) {
        return Err(Error::unavailable("platform.stopping", "The service is stopping.")
            .retry_after(1)
            .into());
    }
    pulse.check().await?;
    Ok(HttpResponse::Ok().finish())
}

/// Metrics in the text format of Prometheus.
#[get("/metrics")]
async fn metrics() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(platform::metrics::render())
}

/// Whether there is a page with all messages.
fn shows_mailbox(settings: &Settings) -> bool {
    settings.profile.is_development() && settings.here().contains(&Module::Notifications)
}

/// What is printed at the start: where to look.
fn greeting(settings: &Settings, addresses: Addresses, house: &House) -> String {
    let (profile, engine) = (settings.profile, house.engine());
    let (public, management) = (within_reach(addresses.public), within_reach(addresses.management));
    let mut lines = vec![format!("Doorward {} · {profile} · {engine}", env!("CARGO_PKG_VERSION"))];
    let mut line = |label: &str, value: &str| lines.push(format!("  {label:<11} {value}"));
    line("API", &format!("http://{public}"));
    line("Docs", &format!("http://{public}/docs"));
    if shows_mailbox(settings) {
        line("Mailbox", &format!("http://{public}/dev/mailbox"));
    }
    let scheme = if settings.server.management.tls.certificate_file.is_empty() { "http" } else { "https" };
    line("Management", &format!("{scheme}://{management}"));
    if !settings.has_every_module() {
        line("Modules", &settings.modules.join(", "));
    }
    line("Data", &settings.data_dir.display().to_string());
    if let Some(link) = &house.setup_link {
        line("Set-up", link.reveal());
    }
    lines.push("Doorward is ready.".to_owned());
    lines.join("\n")
}
