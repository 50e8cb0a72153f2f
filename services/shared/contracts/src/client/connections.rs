//! [`Connections`]: the pool of connections to one peer, made anew when this process's credentials change.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use settings::Address;
use tls::{ClientConfig, Credentials};

use super::ClientError;

const CONNECT_MAX: Duration = Duration::from_secs(1);
/// What was sent must have arrived at the other machine by then, or the connection counts as dead (RFC 5482).
#[cfg(target_os = "linux")]
const ARRIVED_MAX: Duration = Duration::from_secs(3);
/// It may have arrived, and the machine have lost its power before it answered: so often it is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The connections to one peer.
pub(super) struct Connections {
    /// What paths are put behind.
    pub(super) base: String,
    pub(super) address: Address,
    credentials: Option<Arc<Credentials>>,
    pool: ArcSwap<Pool>,
}

struct Pool {
    /// What it was made with, if the peer speaks TLS.
    config: Option<Arc<ClientConfig>>,
    http: reqwest::Client,
}

impl Connections {
    pub(super) fn new(address: &Address, credentials: Option<Arc<Credentials>>) -> Result<Self, ClientError> {
        let base = match (address.authority(), address.is_tls(), &credentials) {
            (None, ..) => "http://peer".to_owned(),
            (Some(authority), false, _) => format!("http://{authority}"),
            (Some(authority), true, Some(_)) => format!("https://{authority}"),
            (Some(_), true, None) => {
                let why = format_args!("{address} speaks TLS, and there is no certificate to show it");
                return Err(ClientError::unavailable(why));
            }
        };
        let credentials = credentials.filter(|_| address.is_tls());
        let pool = Pool::new(address, credentials.as_deref().map(Credentials::client))?;
        Ok(Self { base, address: address.clone(), credentials, pool: ArcSwap::from_pointee(pool) })
    }

    /// The pool. Requests that are under way on one that is replaced finish there.
    pub(super) fn http(&self) -> reqwest::Client {
        let pool = self.pool.load();
        let Some(credentials) = &self.credentials else { return pool.http.clone() };
        let config = credentials.client();
        if pool.config.as_ref().is_some_and(|known| Arc::ptr_eq(known, &config)) {
            return pool.http.clone();
        }
        match Pool::new(&self.address, Some(config)) {
            Ok(new) => {
                let http = new.http.clone();
                self.pool.store(Arc::new(new));
                http
            }
            // It could be made before, and another certificate makes no difference to that; the old one is as good as it was.
            Err(_) => pool.http.clone(),
        }
    }
}

impl Pool {
    fn new(address: &Address, config: Option<Arc<ClientConfig>>) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .tcp_keepalive(ASK_EVERY)
            .tcp_keepalive_interval(ASK_EVERY)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        #[cfg(target_os = "linux")]
        {
            builder = builder.tcp_user_timeout(ARRIVED_MAX);
        }
        if let Some(path) = address.unix_path() {
            builder = builder.unix_socket(path.to_path_buf());
        }
        if let Some(config) = &config {
            builder = builder.tls_backend_preconfigured(ClientConfig::clone(config));
        }
        Ok(Self { config, http: builder.build().map_err(ClientError::unavailable)? })
    }
}
