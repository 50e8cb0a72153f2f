//! From a [`Stack`] to what the gateway and each service are told. Pure: the same stack and placement give the same settings.
//!
//! Kubernetes objects are not planned here but in the operator, which takes these settings as they are.

mod connections;
mod gateway;
mod priority;
mod service;

use std::path::PathBuf;

use settings::{
    ADMIN_PORT, Address, GATEWAY_PORT, InternalTls, Observability, SecretRef, ServiceName, Tracing,
};

use crate::{Scale, Stack, names};

pub use connections::{DATABASE_CONNECTIONS, connections_max, connections_min};
pub use gateway::plan_gateway;
pub(crate) use gateway::{policy_of, prefix_covers};
pub use service::{local_database, plan_service};

/// The `aud` of every token.
pub const AUDIENCE: &str = "healthcare-stack";

/// Where the parts of a stack run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In one process.
    Local {
        /// Where SQLite files lie.
        data_dir: PathBuf,
        /// Where the services' sockets are: short, since a socket's path has 107 bytes at most.
        socket_dir: PathBuf,
        /// Which database.
        database: LocalDatabase,
    },
    /// In the pods of a cluster: each service is reached by a Service of its stack.
    Kubernetes,
    /// In the containers of a compose network, which holds one stack: each service is reached by its bare name.
    Compose,
}

/// Which database a stack in one process uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalDatabase {
    /// A file for each service.
    Sqlite,
    /// A schema for each service.
    Postgres {
        /// The connection URL.
        url: SecretRef,
    },
}

impl Placement {
    /// Where others reach a service of a stack.
    pub fn address(&self, stack: &Stack, service: ServiceName) -> Address {
        match self {
            Self::Local { socket_dir, .. } => {
                Address(format!("unix:{}", socket_dir.join(format!("{service}.sock")).display()))
            }
            Self::Kubernetes => {
                let host = names::object(&stack.name, service.as_str());
                Address(format!("https://{host}:{}", service.port()))
            }
            Self::Compose => Address(format!("https://{service}:{}", service.port())),
        }
    }

    /// How many gateways there are, as far as that is decided here.
    pub(crate) fn gateways(&self, stack: &Stack) -> u32 {
        match (self, stack.gateway.scale) {
            (Self::Local { .. } | Self::Compose, _) => 1,
            (Self::Kubernetes, Scale::Fixed(replicas)) => replicas,
            (Self::Kubernetes, Scale::Auto(autoscaling)) => autoscaling.min,
        }
    }

    /// Where a gateway finds out how many there are: by its Service.
    pub(crate) fn gateway(&self, stack: &Stack) -> Option<Address> {
        match self {
            Self::Local { .. } | Self::Compose => None,
            Self::Kubernetes => {
                let host = names::object(&stack.name, names::API_GATEWAY);
                Some(Address(format!("{host}:{GATEWAY_PORT}")))
            }
        }
    }

    /// The Prometheus that runs beside the stack in any case.
    pub(crate) fn prometheus(&self) -> Option<String> {
        match self {
            Self::Compose => Some("http://prometheus:9090".to_owned()),
            Self::Local { .. } | Self::Kubernetes => None,
        }
    }

    /// Where a service listens.
    pub(crate) fn listen(&self, stack: &Stack, service: ServiceName) -> Address {
        self.any(service.port()).unwrap_or_else(|| self.address(stack, service))
    }

    /// Where a service shows metrics and health; nowhere where the process around it does.
    pub(crate) fn admin_listen(&self) -> Option<Address> {
        self.any(ADMIN_PORT)
    }

    /// A port at all addresses. A pod may have an address of either family, or of both.
    fn any(&self, port: u16) -> Option<Address> {
        match self {
            Self::Local { .. } => None,
            Self::Kubernetes => Some(Address(format!("[::]:{port}"))),
            Self::Compose => Some(Address(format!("0.0.0.0:{port}"))),
        }
    }

    /// TLS between the parts, where a network is between them. The secret is mounted under one name everywhere, but each part has its own.
    pub(crate) fn tls(&self) -> Option<InternalTls> {
        match self {
            Self::Local { .. } => None,
            Self::Kubernetes | Self::Compose => Some(InternalTls { secret: names::TLS.to_owned() }),
        }
    }
}

/// The `iss` of the stack's tokens: no other stack of the same cluster has it.
pub fn issuer(stack: &Stack) -> String {
    format!("https://{}/stacks/{}/{}", crate::GROUP, stack.namespace, stack.name)
}

/// What every part of a stack is told of its log, and of where traces go.
fn observability(stack: &Stack) -> Observability {
    let spec = &stack.observability;
    let tracing = spec.tracing.as_ref().map(|tracing| Tracing {
        endpoint: tracing.endpoint.clone(),
        sample_percent: tracing.sample_percent,
        headers: tracing.headers.clone(),
        ca: tracing.ca.clone(),
        stack: format!("{}/{}", stack.namespace, stack.name),
    });
    Observability { log_level: spec.log_level.clone(), log_format: spec.log_format, tracing }
}
