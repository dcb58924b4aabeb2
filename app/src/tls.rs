//! TLS on the management listener: a certificate of its own, and those that other services must show.
//!
//! Whoever shows none gets as far as liveness, readiness and metrics, because orchestrators have none; internal routes
//! want one that the authority made. Left out: TLS on the public listener, which is the reverse proxy's.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use platform::http::CertificateShown;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;

use crate::StartError;

/// Files in PEM; all empty means no TLS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSettings {
    pub(crate) certificate_file: String,
    pub(crate) key_file: String,
    pub(crate) client_ca_file: String,
}

impl TlsSettings {
    /// What is wrong, a sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let Self { certificate_file, key_file, client_ca_file } = self;
        let mut problems = Vec::new();
        if certificate_file.is_empty() != key_file.is_empty() {
            problems.push(
                "server.management.tls.certificate_file and server.management.tls.key_file go together: set both."
                    .to_owned(),
            );
        }
        if !client_ca_file.is_empty() && certificate_file.is_empty() {
            problems.push(
                "server.management.tls.client_ca_file needs server.management.tls.certificate_file and key_file: without \
                 TLS nobody can show a certificate."
                    .to_owned(),
            );
        }
        problems
    }

    pub(crate) fn asks_for_certificates(&self) -> bool {
        !self.client_ca_file.is_empty()
    }

    /// What the listener speaks; none for plain HTTP.
    pub(crate) fn server(&self) -> Result<Option<ServerConfig>, StartError> {
        if self.certificate_file.is_empty() {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = certificates("server.management.tls.certificate_file", &self.certificate_file)?;
        let key = PrivateKeyDer::from_pem_file(Path::new(&self.key_file))
            .map_err(|error| unusable("server.management.tls.key_file", error))?;
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("server.management.tls.certificate_file", error))?;
        let config = if self.asks_for_certificates() {
            let mut roots = RootCertStore::empty();
            for authority in certificates("server.management.tls.client_ca_file", &self.client_ca_file)? {
                roots
                    .add(authority)
                    .map_err(|error| unusable("server.management.tls.client_ca_file", error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| unusable("server.management.tls.client_ca_file", error))?;
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let config = config.with_single_cert(chain, key);
        config.map(Some).map_err(|error| unusable("server.management.tls.certificate_file", error))
    }
}

/// Notes of a new connection whether its client showed a certificate; what it shows was checked before.
pub(crate) fn note_certificate(connection: &dyn Any, notes: &mut Extensions) {
    let stream = connection.downcast_ref::<TlsStream<TcpStream>>();
    if stream.is_some_and(|it| it.get_ref().1.peer_certificates().is_some()) {
        notes.insert(CertificateShown);
    }
}

/// The certificates in a file that a setting names.
pub(crate) fn certificates(
    setting: &str,
    file: impl AsRef<Path>,
) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unusable(setting, "it holds no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(setting, error)),
    }
}

fn unusable(setting: &str, error: impl std::fmt::Display) -> StartError {
    StartError::because(&format!("{setting} can't be used"), error)
}
