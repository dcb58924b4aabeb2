//! Puts a contract on the other end of a loopback connection, as it is when its module lives elsewhere: with the guard in
//! front of internal routes, and the line that passes it.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer, Scope};
use contracts::Module;
use contracts::wire::Line;
use platform::clock::Clock;
use platform::http::{Admission, admit_service};
use platform::peers::{Lines, Settings};
use platform::settings::MasterKey;
use platform::tokens::{Identity, ServiceKey, Services, read_service_key};

/// The settings of somebody who asks modules at these addresses.
pub fn settings(addresses: &[(Module, String)]) -> Settings {
    let mut settings = Settings { deadline_ms: 5_000, ..Settings::default() };
    for (module, address) in addresses {
        let place = match module {
            Module::Auth => &mut settings.auth,
            Module::Users => &mut settings.users,
            Module::Permissions => &mut settings.permissions,
            Module::Notifications => &mut settings.notifications,
        };
        place.clone_from(address);
    }
    settings
}

/// Two services that know each other: one that asks, and has every module, and one that answers for one module.
pub struct Pair {
    /// What the asking one says of itself.
    pub identity: Arc<Identity>,
    /// Whom the answering one believes.
    pub admission: Data<Admission>,
}

impl Pair {
    /// Fresh keys for both.
    pub fn new(answers: Module) -> Self {
        let (master_key, clock) = (MasterKey::generate().unwrap(), Clock::system());
        let key = ServiceKey::parse(&MasterKey::generate().unwrap().to_base64()).unwrap();
        let keys = Module::ALL.map(|module| (module, read_service_key(&key.public()).unwrap()));
        let services = Services::new(vec![answers], keys.into(), &master_key, clock.clone());
        Self {
            identity: Arc::new(Identity::new(Module::Auth, key, &master_key, clock)),
            admission: Data::new(Admission { services, certificate: false }),
        }
    }
}

/// Serves the internal routes of a module on a free loopback port and returns the line that reaches them.
pub async fn serve(module: Module, routes: impl Fn() -> Scope + Send + Clone + 'static) -> Arc<dyn Line> {
    let pair = Pair::new(module);
    let address = listen(pair.admission, routes).await;
    let settings = settings(&[(module, format!("http://{address}"))]);
    Lines::new(&settings, &pair.identity).unwrap().to(module).unwrap()
}

/// Serves internal routes on a free loopback port and returns its address. The server lives in a thread of its own
/// and ends with the test process.
pub async fn listen(
    admission: Data<Admission>,
    routes: impl Fn() -> Scope + Send + Clone + 'static,
) -> SocketAddr {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app =
                move || App::new().app_data(admission.clone()).service(routes().wrap(from_fn(admit_service)));
            let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
            tell.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    told.await.unwrap()
}
