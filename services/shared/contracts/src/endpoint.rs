//! What an operation is: declared once with [`api!`](crate::api), used by server, client, gateway and documentation alike.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::permission::Permission;
pub use settings::{Method, ServiceName};

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever is signed in, and whoever may do nothing else yet, since a role of theirs asks for a second factor that they do not have.
    Enrolling,
    /// Whoever has this permission.
    Needs(Permission),
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON, as everything of ours.
    Json,
    /// `application/x-www-form-urlencoded`, where a standard of OAuth asks for it.
    Form,
    /// A message as a mail server has it (RFC 5322): taken as it is.
    Mail,
}

impl Encoding {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Mail => "message/rfc822",
        }
    }
}

/// An operation as data: what the router, the gateway's planner and the OpenAPI document read.
#[derive(Debug)]
pub struct Operation {
    /// Unique name, `patient_by_id`; also the client's method and OpenAPI's `operationId`.
    pub id: &'static str,
    /// The service that answers; `None`: the gateway itself.
    pub service: Option<ServiceName>,
    /// Heading in the documentation.
    pub tag: &'static str,
    /// Its first doc line.
    pub summary: &'static str,
    /// The method.
    pub method: Method,
    /// The path template, `/api/patients/{patientId}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// The status of its success.
    pub status: u16,
    /// Whether it leaves an entry in the audit. Whatever touches a patient's data or anybody's rights does.
    pub audited: bool,
    /// The schema of the query string, if it takes one.
    pub query: Option<SchemaOf>,
    /// The schema of the request body, if it takes one.
    pub body: Option<SchemaOf>,
    /// How that is written.
    pub encoding: Encoding,
    /// The schema of the answer.
    pub reply: SchemaOf,
    /// How that is written.
    pub media_type: &'static str,
}

impl Operation {
    /// Whether it is for other services alone: never routed by the gateway, and not in the public documentation.
    pub fn is_internal(&self) -> bool {
        self.path.starts_with("/internal/")
    }
}

/// Gives the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An operation as a type: its path ids, query, body and answer.
pub trait Endpoint: Send + Sync + 'static {
    /// The same, as data.
    const OPERATION: &'static Operation;
    /// The ids in its path: `()`, `(PatientId,)`, ….
    type Path: PathIds;
    /// Its query string, `()` for none.
    type Query: Serialize + DeserializeOwned + Send + 'static;
    /// Its body, `()` for none.
    type Body: Serialize + DeserializeOwned + Send + 'static;
    /// Its answer's body.
    type Reply: Representation;
}

/// An answer's body as it goes over the wire: JSON, but for what says otherwise.
pub trait Representation: Sized + Send + 'static {
    /// Its media type.
    const MEDIA_TYPE: &'static str;
    /// As it is sent.
    fn to_bytes(&self) -> Vec<u8>;
    /// From what was sent.
    ///
    /// # Errors
    /// If it is not of this shape.
    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error>;
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Representation for T {
    const MEDIA_TYPE: &'static str = "application/json";

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Ids read from a path's segments, in the template's order.
pub trait PathIds: Sized + Send + 'static {
    /// How many there are.
    const COUNT: usize;
    /// `None` if one is not of its form: there is nothing under such a path.
    fn from_segments<'a>(segments: impl Iterator<Item = &'a str>) -> Option<Self>;
}

impl PathIds for () {
    const COUNT: usize = 0;
    fn from_segments<'a>(_: impl Iterator<Item = &'a str>) -> Option<Self> {
        Some(())
    }
}

impl<A: std::str::FromStr + Send + 'static> PathIds for (A,) {
    const COUNT: usize = 1;
    fn from_segments<'a>(mut segments: impl Iterator<Item = &'a str>) -> Option<Self> {
        Some((segments.next()?.parse().ok()?,))
    }
}

impl<A: std::str::FromStr + Send + 'static, B: std::str::FromStr + Send + 'static> PathIds for (A, B) {
    const COUNT: usize = 2;
    fn from_segments<'a>(mut segments: impl Iterator<Item = &'a str>) -> Option<Self> {
        Some((segments.next()?.parse().ok()?, segments.next()?.parse().ok()?))
    }
}

/// The schema of `T`, referenced from the document's components.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Declares a service's API: for each line an [`Endpoint`] type, an entry in `API`, and a method on the typed client.
///
/// ```text
/// api! {
///     service PatientService, tag "Patients", client PatientsClient;
///
///     /// Retrieve a patient by id.
///     patient_by_id: PatientById = Get "/api/patients/{patientId}" [patient_id: PatientId],
///         needs PatientsRead, answers 200 Patient;
/// }
/// ```
///
/// Optional, in this order: `[ids in the path]`, `(query Type)`, `(body Type)`, `(form Type)` or `(mail Type)`. Access is `public`,
/// `signed_in`, `enrolling` or `needs Permission`.
/// Every call leaves an entry in the audit, unless `, unaudited` stands behind the answer.
#[macro_export]
macro_rules! api {
    (
        service $service:tt, tag $tag:literal, client $client:ident;
        $(
            $(#[doc = $doc:literal])+
            $name:ident : $endpoint:ident = $method:ident $path:literal
                $([$($id:ident : $id_type:ty),+])? $((query $query:ty))? $((body $body:ty))? $((form $form:ty))? $((mail $mail:ty))?,
                $access:ident $($permission:ident)?, answers $status:literal $reply:ty $(, $unaudited:ident)?;
        )+
    ) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug)]
            pub struct $endpoint;

            impl $crate::endpoint::Endpoint for $endpoint {
                const OPERATION: &'static $crate::endpoint::Operation = &$crate::endpoint::Operation {
                    id: stringify!($name),
                    service: $crate::api!(@service $service),
                    tag: $tag,
                    summary: $crate::endpoint::summary_of(&[$($doc),+]),
                    method: $crate::endpoint::Method::$method,
                    path: $path,
                    access: $crate::api!(@access $access $($permission)?),
                    status: $status,
                    audited: $crate::api!(@audited $($unaudited)?),
                    query: $crate::api!(@schema $($query)?),
                    body: $crate::api!(@schema $($body)? $($form)? $($mail)?),
                    encoding: $crate::api!(@encoding $(form $form)? $(mail $mail)?),
                    reply: $crate::endpoint::schema_of::<$reply>,
                    media_type: <$reply as $crate::endpoint::Representation>::MEDIA_TYPE,
                };
                type Path = ($($($id_type,)+)?);
                type Query = $crate::api!(@type $($query)?);
                type Body = $crate::api!(@type $($body)? $($form)? $($mail)?);
                type Reply = $reply;
            }
        )+

        /// Every operation of this API, in the order of its declaration.
        pub const API: &[&$crate::endpoint::Operation] =
            &[$(<$endpoint as $crate::endpoint::Endpoint>::OPERATION),+];

        #[doc = concat!("Calls `", $tag, "` from another service: deadline, retries and breaker included.")]
        #[cfg(feature = "client")]
        #[derive(Clone, Debug)]
        pub struct $client(std::sync::Arc<$crate::client::Transport>);

        #[cfg(feature = "client")]
        impl $client {
            /// A client over a transport.
            pub fn new(transport: std::sync::Arc<$crate::client::Transport>) -> Self {
                Self(transport)
            }

            $(
                $(#[doc = $doc])+
                pub async fn $name(
                    &self $($(, $id: &$id_type)+)? $(, query: &$query)? $(, body: &$body)? $(, body: &$form)? $(, body: &$mail)?
                ) -> Result<$reply, $crate::client::ClientError> {
                    self.0
                        .call::<$endpoint>(
                            &[$($($id as &(dyn std::fmt::Display + Sync)),+)?],
                            $crate::api!(@value query $($query)?),
                            $crate::api!(@value body $($body)? $($form)? $($mail)?),
                        )
                        .await
                }
            )+
        }
    };
    (@service gateway) => { None };
    (@service $service:ident) => { Some($crate::endpoint::ServiceName::$service) };
    (@access public) => { $crate::endpoint::Access::Public };
    (@access signed_in) => { $crate::endpoint::Access::SignedIn };
    (@access enrolling) => { $crate::endpoint::Access::Enrolling };
    (@access needs $permission:ident) => {
        $crate::endpoint::Access::Needs($crate::permission::Permission::$permission)
    };
    (@encoding) => { $crate::endpoint::Encoding::Json };
    (@encoding form $type:ty) => { $crate::endpoint::Encoding::Form };
    (@encoding mail $type:ty) => { $crate::endpoint::Encoding::Mail };
    (@audited) => { true };
    (@audited unaudited) => { false };
    (@schema) => { None };
    (@schema $type:ty) => { Some($crate::endpoint::schema_of::<$type>) };
    (@type) => { () };
    (@type $type:ty) => { $type };
    (@value $name:ident) => { &() };
    (@value $name:ident $type:ty) => { $name };
}

/// The first of some doc lines, without the space that `///` leaves.
#[doc(hidden)]
pub const fn summary_of(lines: &[&'static str]) -> &'static str {
    let line = lines[0];
    match line.as_bytes() {
        [b' ', ..] => line.split_at(1).1,
        _ => line,
    }
}
