//! TLS between services: each shows a certificate, and internal routes want one, while health and metrics stay in reach of
//! whoever has none.

use contracts::Module;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use crate::fleet::{Fleet, on_behalf_of};
use crate::plan::Extra;

/// An authority, and a certificate of it for this machine, as files.
struct Papers {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Papers {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes NAME.pem and NAME.key.
    fn issue(&self, name: &str) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn identity(&self, name: &str) -> reqwest::Identity {
        let read = |ending: &str| std::fs::read(self.path(&format!("{name}.{ending}"))).unwrap();
        reqwest::Identity::from_pem(&[read("key"), read("pem")].concat()).unwrap()
    }
}

fn client(authority: &Papers, identity: Option<reqwest::Identity>) -> reqwest::Client {
    let ca = std::fs::read(authority.path("ca.pem")).unwrap();
    let ca = reqwest::Certificate::from_pem(&ca).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([ca]);
    identity.into_iter().fold(builder, |builder, identity| builder.identity(identity)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_show_certificates_and_orchestrators_need_none() {
    let papers = Papers::new();
    Module::ALL.iter().for_each(|module| papers.issue(module.as_str()));
    let settings = |module: Module| -> Extra {
        let (own, key) = (papers.path(&format!("{module}.pem")), papers.path(&format!("{module}.key")));
        let name = |rest: &str| format!("DOORWARD__{rest}");
        vec![
            (name("SERVER__MANAGEMENT__TLS__CERTIFICATE_FILE"), own.clone()),
            (name("SERVER__MANAGEMENT__TLS__KEY_FILE"), key.clone()),
            (name("SERVER__MANAGEMENT__TLS__CLIENT_CA_FILE"), papers.path("ca.pem")),
            (name("PEERS__TLS__CA_FILE"), papers.path("ca.pem")),
            (name("PEERS__TLS__CERTIFICATE_FILE"), own),
            (name("PEERS__TLS__KEY_FILE"), key),
        ]
    };
    let Some(fleet) = Fleet::open_with("https", settings).await else { return };
    let root = fleet.administrator().await;
    assert_eq!(fleet.client(Module::Permissions, Some(&root)).get("/api/v1/roles").await.status, 200);
    assert_eq!(fleet.client(Module::Users, Some(&root)).get("/api/v1/audit-events").await.status, 200);

    let management = fleet.services[&Module::Users].management.clone();
    assert!(management.starts_with("https://"), "{management}");
    let bare = client(&papers, None);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(bare.get(format!("{management}{path}")).send().await.unwrap().status(), 200, "{path}");
    }
    let token = fleet.plan.identity(Module::Notifications).token_for(Module::Users).unwrap();
    let (name, caller) = on_behalf_of("notifications");
    let ask = |client: &reqwest::Client| {
        client
            .post(format!("{management}/internal/users/find_profile"))
            .bearer_auth(&token)
            .header(name, &caller)
            .header("doorward-deadline-ms", "1000")
            .json(&json!({ "user": root.id }))
            .send()
    };
    assert_eq!(ask(&client(&papers, Some(papers.identity("notifications")))).await.unwrap().status(), 200);
    assert_eq!(ask(&bare).await.unwrap().status(), 401, "a token without a certificate");
    let others = Papers::new();
    others.issue("forger");
    let forger = client(&papers, Some(others.identity("forger")));
    assert!(ask(&forger).await.is_err(), "a certificate of another authority ends the connection");
    assert!(forger.get(format!("{management}/livez")).send().await.is_err());
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_can_not_be_read_stops_the_start() {
    let papers = Papers::new();
    papers.issue("own");
    let mut house = crate::fleet::open(&[]).await;
    assert!(house.stop().success());
    house.set("DOORWARD__SERVER__MANAGEMENT__TLS__CERTIFICATE_FILE", "/nowhere.pem");
    house.set("DOORWARD__SERVER__MANAGEMENT__TLS__KEY_FILE", &papers.path("own.key"));
    let (good, told) = house.finish(&["serve"]);
    assert!(!good && told.contains("server.management.tls.certificate_file can't be used"), "{told}");
}
