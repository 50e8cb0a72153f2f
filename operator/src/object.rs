//! [`Object`]: any Kubernetes object as it is planned, applied, compared and pruned.

use std::fmt;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::ApiResource;
use serde::Serialize;
use serde_json::Value;

/// An object as it should be: only the fields that the operator sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What kind it is of.
    pub resource: ApiResource,
    /// Its name. Its namespace is always its stack's.
    pub name: String,
    /// The whole of it, as it is sent to the API server: `apiVersion`, `kind` and `metadata` included.
    pub body: Value,
}

/// Names an object within one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl Object {
    /// From one of the API's own types.
    pub fn of<K>(object: &K) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        let resource = ApiResource::erase::<K>(&());
        // Types of the API are made to be JSON, so this does not fail; if it ever did, the API server would refuse what is sent.
        let mut body = serde_json::to_value(object).unwrap_or_default();
        if let Some(members) = body.as_object_mut() {
            members.insert("apiVersion".to_owned(), resource.api_version.clone().into());
            members.insert("kind".to_owned(), resource.kind.clone().into());
        }
        Self { name: object.meta().name.clone().unwrap_or_default(), resource, body }
    }

    /// From JSON, for kinds that other software brings (`ServiceMonitor`, `HTTPRoute`, CloudNativePG's `Cluster`).
    pub fn foreign(resource: ApiResource, name: String, mut body: Value) -> Self {
        if let Some(members) = body.as_object_mut() {
            members.insert("apiVersion".to_owned(), resource.api_version.clone().into());
            members.insert("kind".to_owned(), resource.kind.clone().into());
        }
        Self { resource, name, body }
    }

    /// Its name among the objects of its namespace.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef {
            group: self.resource.group.clone(),
            kind: self.resource.kind.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
