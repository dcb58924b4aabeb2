//! How connections to PostgreSQL are encrypted: the parameters of its url mean what they mean to libpq, so that a url
//! that works with `psql` works here, and one that `psql` refuses as too weak for what it says is refused here.
//!
//! One thing differs: libpq believes the certificates in a file of the user's; Doorward has no such file, and without
//! `sslrootcert` believes the public authorities. That is enough for `verify-full`, which also looks at the name. It is
//! nothing for `verify-ca`: a public authority signs for anybody who has a name.
//!
//! Left out: revocation lists (`sslcrl`), and key files that need a password.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Error, Result};

/// The word for the public authorities in the place of a file.
const SYSTEM: &str = "system";

/// What the url says about encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Encryption {
    mode: Mode,
    /// `sslrootcert`: who may have signed the server's certificate, as PEM. Without it, or with `system`: the public
    /// authorities.
    roots: Option<PathBuf>,
    /// `sslcert` and `sslkey`: how this client shows who it is.
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    Disable,
    /// Encrypted when the server can; its certificate is not looked at.
    #[default]
    Prefer,
    /// Encrypted; the certificate is not looked at, unless `sslrootcert` says what to look for.
    Require,
    /// Encrypted, and the certificate was signed by somebody who is trusted.
    VerifyCa,
    /// The same, and it names the host.
    VerifyFull,
}

impl Encryption {
    /// Takes the parameters about encryption out of a url; the rest is for the driver.
    ///
    /// # Errors
    /// [`Error::Setup`] when one of them can't be understood, or two contradict each other.
    pub(super) fn take_from(url: &str) -> Result<(String, Self)> {
        let mut encryption = Self::default();
        let Some((address, query)) = url.split_once('?') else { return Ok((url.to_owned(), encryption)) };
        let (mut mode, mut roots) = (None, None);
        let mut others = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sslmode" => mode = Some(Mode::parse(&value)?),
                "sslrootcert" => roots = Some(value.into_owned()).filter(|file| !file.is_empty()),
                "sslcert" => encryption.certificate = Some(PathBuf::from(&*value)),
                "sslkey" => encryption.key = Some(PathBuf::from(&*value)),
                _ => _ = others.append_pair(&name, &value),
            }
        }
        // Only here: what comes later in the url may change what came before.
        encryption.mode = Mode::with_roots(mode, roots.as_deref())?;
        encryption.roots = roots.filter(|file| file != SYSTEM).map(PathBuf::from);
        // The driver reads %XX, and takes `+` for itself.
        let others = others.finish().replace('+', "%20");
        Ok((if others.is_empty() { address.to_owned() } else { format!("{address}?{others}") }, encryption))
    }

    /// What the driver must know.
    pub(super) fn mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// Whether somebody in between could pretend to be the server.
    pub(super) fn trusts_anybody(&self) -> bool {
        self.mode != Mode::VerifyFull
    }

    /// What makes the handshakes.
    ///
    /// # Errors
    /// [`Error::Setup`] when a file that it needs can't be used.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS", error))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(&provider)?);
        let config = match (&self.certificate, &self.key) {
            (None, None) => config.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("sslkey", error))?;
                config
                    .with_client_auth_cert(certificates("sslcert", certificate)?, key)
                    .map_err(|error| unusable("sslcert or sslkey", error))?
            }
            _ => {
                return Err(Error::Setup("sslcert and sslkey in the PostgreSQL url go together.".to_owned()));
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
        let algorithms = provider.signature_verification_algorithms;
        if matches!(self.mode, Mode::Disable | Mode::Prefer | Mode::Require) {
            return Ok(Arc::new(Lenient { algorithms, signers: None }));
        }
        let mut roots = RootCertStore::empty();
        match &self.roots {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(file) => {
                for certificate in certificates("sslrootcert", file)? {
                    roots.add(certificate).map_err(|error| unusable("sslrootcert", error))?;
                }
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| unusable("sslrootcert", error))?;
        Ok(match self.mode {
            Mode::VerifyFull => verifier,
            _ => Arc::new(Lenient { algorithms, signers: Some(verifier) }),
        })
    }
}

impl Mode {
    /// What `sslmode` means beside `sslrootcert`.
    ///
    /// # Errors
    /// [`Error::Setup`] when the two together would believe servers that they seem to refuse.
    fn with_roots(mode: Option<Self>, roots: Option<&str>) -> Result<Self> {
        match (mode, roots) {
            (None | Some(Self::VerifyFull), Some(SYSTEM)) => Ok(Self::VerifyFull),
            (Some(_), Some(SYSTEM)) => Err(Error::Setup(
                "sslrootcert=system in the PostgreSQL url believes every public authority, and so goes with \
                 sslmode=verify-full alone: a weaker sslmode would let anybody who has a certificate of any name be the \
                 server."
                    .to_owned(),
            )),
            (Some(Self::VerifyCa), None) => Err(Error::Setup(
                "sslmode=verify-ca in the PostgreSQL url needs sslrootcert=FILE, the authority that signed the server's \
                 certificate. Name it, or use sslmode=verify-full, which also looks at the name of the host."
                    .to_owned(),
            )),
            (Some(Self::Require), Some(_)) => Ok(Self::VerifyCa),
            (mode, _) => Ok(mode.unwrap_or_default()),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(Error::Setup(
                    "sslmode in the PostgreSQL url must be disable, prefer, require, verify-ca or verify-full."
                        .to_owned(),
                ));
            }
        })
    }
}

fn certificates(parameter: &str, file: &PathBuf) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| unusable(parameter, error))?;
    if certificates.is_empty() {
        return Err(unusable(parameter, "it holds no certificate"));
    }
    Ok(certificates)
}

fn unusable(parameter: &str, error: impl std::fmt::Display) -> Error {
    Error::Setup(format!(
        "What {parameter} in the PostgreSQL url names can't be used: {error}. It must be a file in PEM."
    ))
}

/// Checks less of a certificate than `verify-full` does; that whoever shows it has its key, always.
#[derive(Debug)]
struct Lenient {
    algorithms: WebPkiSupportedAlgorithms,
    /// Who signed it must be known, as with `verify-ca`. None: anybody, as with `require`, which is safe from those who only
    /// listen.
    signers: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(signers) = &self.signers else { return Ok(ServerCertVerified::assertion()) };
        match signers.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, Encryption) {
        Encryption::take_from(url).unwrap()
    }

    #[test]
    fn the_parameters_of_libpq_are_taken_out_and_the_others_stay() {
        let (rest, encryption) = read(
            "postgres://u:p@h/d?application_name=my%20app&sslmode=verify-full&sslrootcert=%2Fca.pem&target_session_attrs=any",
        );
        assert_eq!(rest, "postgres://u:p@h/d?application_name=my%20app&target_session_attrs=any");
        assert_eq!((encryption.mode, encryption.roots), (Mode::VerifyFull, Some("/ca.pem".into())));
        assert_eq!(
            read("postgres://h/d?sslmode=disable"),
            ("postgres://h/d".to_owned(), Encryption { mode: Mode::Disable, ..Encryption::default() })
        );
        assert_eq!(read("postgres://h/d").1.mode, Mode::Prefer);
        assert_eq!(read("postgres://h/d?sslmode=verify-full&sslrootcert=").1.roots, None);
        assert_eq!(read("postgres://h/d?sslmode=require&sslrootcert=/x").1.mode, Mode::VerifyCa);
    }

    fn told(url: &str) -> String {
        match Encryption::take_from(url).and_then(|(_, it)| it.connector().map(drop)) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_public_authorities_are_enough_only_when_the_name_is_looked_at_too() {
        for url in [
            "postgres://h/d?sslrootcert=system",
            "postgres://h/d?sslrootcert=system&sslmode=verify-full",
            "postgres://h/d?sslmode=verify-full&sslrootcert=system",
            "postgres://h/d?sslmode=verify-full",
        ] {
            let expected = Encryption { mode: Mode::VerifyFull, ..Encryption::default() };
            assert_eq!(read(url), ("postgres://h/d".to_owned(), expected), "{url}");
        }
        for mode in ["disable", "prefer", "require", "verify-ca"] {
            for url in [
                format!("postgres://h/d?sslmode={mode}&sslrootcert=system"),
                format!("postgres://h/d?sslrootcert=system&sslmode={mode}"),
                format!("postgres://h/d?sslmode=verify-full&sslrootcert=system&sslmode={mode}"),
            ] {
                let told = told(&url);
                assert!(told.contains("sslrootcert=system") && told.contains("verify-full"), "{url}: {told}");
            }
        }
        for url in ["postgres://h/d?sslmode=verify-ca", "postgres://h/d?sslrootcert=&sslmode=verify-ca"] {
            let told = told(url);
            assert!(told.contains("needs sslrootcert=FILE") && told.contains("verify-full"), "{url}: {told}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_by_the_parameters_name() {
        assert!(told("postgres://h/d?sslmode=allow").contains("verify-full"));
        assert!(told("postgres://h/d?sslmode=verify-ca&sslrootcert=/nowhere").contains("sslrootcert"));
        assert!(told("postgres://h/d?sslcert=/nowhere").contains("go together"));
        assert!(told("postgres://h/d?sslcert=/nowhere&sslkey=/nowhere").contains("sslkey"));
        assert_eq!(told("postgres://h/d?sslmode=verify-full"), "");
    }
}
