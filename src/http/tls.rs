//! TLS of the server: its certificate, read from files and reloaded when they change, and handshakes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::base::digest::{Sha256Digest, sha256_bytes};

/// Protocols that clients may select (ALPN), by preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Name of the setting with the file of the certificate.
const CERTIFICATE_SETTING: &str = "server.tls_certificate";
/// Name of the setting with the file of the private key.
const PRIVATE_KEY_SETTING: &str = "server.tls_private_key";

/// What was last read from the files: digests of certificate and key, or why they could not be read.
type FileState = Result<[Sha256Digest; 2], String>;

/// The certificate and private key of the server, with the files that they are loaded from.
#[derive(Debug)]
pub struct TlsCertificates {
    certificate: PathBuf,
    private_key: PathBuf,
    /// Used for new handshakes.
    current: ArcSwap<ServerConfig>,
    /// Also of files that were rejected, so that they are reported once.
    last_read: Mutex<FileState>,
}

impl TlsCertificates {
    /// Loads a certificate and its private key from PEM files.
    ///
    /// # Errors
    /// Returns a message that names the setting of the file that cannot be used.
    pub async fn load(certificate: &Path, private_key: &Path) -> Result<Self, String> {
        let files = read_files(certificate, private_key).await?;
        Ok(Self {
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
            current: ArcSwap::new(create_tls_config(&files)?),
            last_read: Mutex::new(Ok(files.map(sha256_bytes))),
        })
    }

    /// Loads the files again if they have changed since they were last read.
    pub async fn reload_if_changed(&self) {
        let files = read_files(&self.certificate, &self.private_key).await;
        let state = to_file_state(&files);
        let is_unchanged = *self.last_read.lock().unwrap_or_else(PoisonError::into_inner) == state;
        if !is_unchanged {
            self.replace(files);
        }
    }

    /// Loads the files again.
    pub async fn reload(&self) {
        self.replace(read_files(&self.certificate, &self.private_key).await);
    }

    /// Uses the contents of the files for new connections. If they are invalid, keeps the certificate before them and
    /// logs an error.
    fn replace(&self, files: Result<[Vec<u8>; 2], String>) {
        *self.last_read.lock().unwrap_or_else(PoisonError::into_inner) = to_file_state(&files);
        match files.and_then(|files| create_tls_config(&files)) {
            Ok(config) => {
                self.current.store(config);
                tracing::info!("TLS certificate reloaded");
            }
            Err(error) => tracing::error!(error, "the TLS certificate was not replaced; the one before is still used"),
        }
    }

    /// Performs the handshake of a connection. Returns `None` after a failure, when the client has not completed it in
    /// time, and when `stopping` resolves; the connection is closed then.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        timeout: Duration,
        stopping: impl Future<Output = ()>,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = TlsAcceptor::from(self.current.load_full()).accept(stream).into_fallible();
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(timeout, handshake) => accepted.ok()?,
            () = stopping => return None,
        };
        match accepted {
            Ok(stream) => Some(stream),
            Err((error, mut stream)) => {
                tracing::debug!(%error, "TLS handshake failed");
                // The client may have closed it already.
                let _ = stream.shutdown().await;
                None
            }
        }
    }
}

fn to_file_state(files: &Result<[Vec<u8>; 2], String>) -> FileState {
    files.as_ref().map(|[certificate, key]| [certificate, key].map(sha256_bytes)).map_err(Clone::clone)
}

/// Reads the files of certificate and private key.
async fn read_files(certificate: &Path, private_key: &Path) -> Result<[Vec<u8>; 2], String> {
    let read = async |setting: &str, path: &Path| {
        let contents = tokio::fs::read(path).await;
        contents.map_err(|error| format!("{setting}: the file `{}` cannot be read: {error}", path.display()))
    };
    Ok([read(CERTIFICATE_SETTING, certificate).await?, read(PRIVATE_KEY_SETTING, private_key).await?])
}

/// Creates the TLS settings of the server from the contents of the files of certificate and private key.
fn create_tls_config([certificate, private_key]: &[Vec<u8>; 2]) -> Result<Arc<ServerConfig>, String> {
    let no_certificate = "the file contains no certificate in PEM format";
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{CERTIFICATE_SETTING}: {no_certificate}: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{CERTIFICATE_SETTING}: {no_certificate}"));
    }
    let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|error| {
        let reason = match error {
            pem::Error::NoItemsFound => "the file contains no private key in PEM format without a password".to_owned(),
            error => format!("the file contains no valid private key: {error}"),
        };
        format!("{PRIVATE_KEY_SETTING}: {reason}")
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| format!("TLS is not available: {error}"))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("{PRIVATE_KEY_SETTING} is not the key of the certificate of {CERTIFICATE_SETTING}")
            }
            error => format!("{CERTIFICATE_SETTING} and {PRIVATE_KEY_SETTING} cannot be used: {error}"),
        })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}
