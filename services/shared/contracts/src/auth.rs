//! The auth service's API: login, tokens, users and roles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::event::{Accepted, Event};
use crate::id::UserId;
use crate::keys::{ServiceKeys, StackKeys};
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::permission::Role;

api! {
    service AuthService, tag "Authentication", client AuthClient;

    /// Authenticate a user and generate a token.
    login: Login = Post "/api/auth/login" (body LoginRequest),
        public, answers 200 LoggedIn;

    /// Exchange a refresh token, once, for a new pair.
    refresh: Refresh = Post "/api/auth/refresh" (body RefreshRequest),
        public, answers 200 LoggedIn;

    /// Invalidate user session and token.
    logout: Logout = Post "/api/auth/logout" (body LogoutRequest),
        public, answers 200 LoggedOut;

    /// Who is signed in, and what they may do.
    me: Me = Get "/api/auth/me",
        signed_in, answers 200 Identity;

    /// Change one's own password; every other session of the user ends.
    change_password: ChangePassword = Put "/api/auth/me/password" (body PasswordChange),
        signed_in, answers 200 PasswordChanged;

    /// Create a user.
    create_user: CreateUser = Post "/api/auth/users" (body UserRequest),
        needs UsersWrite, answers 201 UserCreated;

    /// List users.
    list_users: ListUsers = Get "/api/auth/users" (query UserFilter),
        needs UsersRead, answers 200 Page<User>;

    /// Retrieve a user by ID.
    user_by_id: UserById = Get "/api/auth/users/{userId}" [user_id: UserId],
        needs UsersRead, answers 200 User;

    /// Update a user: roles, ties, disable or enable. Sessions end when roles change or the user is disabled.
    update_user: UpdateUser = Put "/api/auth/users/{userId}" [user_id: UserId] (body MergePatch<User>),
        needs UsersWrite, answers 200 UserUpdated;

    /// Set a user's password; every session of the user ends.
    set_password: SetPassword = Put "/api/auth/users/{userId}/password" [user_id: UserId] (body PasswordReset),
        needs UsersWrite, answers 200 PasswordChanged;

    /// Delete a user.
    delete_user: DeleteUser = Delete "/api/auth/users/{userId}" [user_id: UserId],
        needs UsersWrite, answers 200 UserDeleted;

    /// List roles with their permissions.
    list_roles: ListRoles = Get "/api/auth/roles",
        needs UsersRead, answers 200 Page<RoleInfo>;

    /// The public keys that tokens are signed with (RFC 7517).
    jwks: JsonWebKeys = Get "/.well-known/jwks.json",
        public, answers 200 JwkSet;

    /// What was revoked after a point; waits up to 20 seconds for something new.
    revocations: ListRevocations = Get "/internal/revocations" (query RevocationFilter),
        needs RevocationsRead, answers 200 Revocations;

    /// Take an event.
    deliver_to_auth: DeliverToAuth = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// Which keys the stack has: what data keys are wrapped under, and what tokens are signed with. Never a key.
    stack_keys: ReadStackKeys = Get "/api/admin/keys",
        needs KeysRead, answers 200 StackKeys;

    /// What this service's data keys are wrapped under.
    keys_of_auth: KeysOfAuth = Get "/internal/keys",
        needs InternalCall, answers 200 ServiceKeys;
}

/// A user's name and password.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginRequest {
    /// The user's name.
    #[schemars(length(min = 1, max = 64))]
    pub username: String,
    /// The password.
    #[schemars(length(min = 1, max = 256))]
    pub password: String,
}

/// A pair of tokens.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedIn {
    /// The access token: a JWT, for `Authorization: Bearer`.
    pub token: String,
    /// Good for one refresh.
    pub refresh_token: String,
    /// `Authenticated`.
    pub status: String,
    /// Life of the access token, seconds.
    pub expires_in: u32,
}

/// A refresh token.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshRequest {
    /// The latest one.
    #[schemars(length(min = 1, max = 512))]
    pub refresh_token: String,
}

/// Whose session ends.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogoutRequest {
    /// The access token, expired or not.
    #[schemars(length(min = 1, max = 8192))]
    pub token: String,
}

/// The answer to a logout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedOut {
    /// `Logged out`.
    pub status: String,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The user's id.
    pub user_id: String,
    /// The user's name; absent for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// What they are.
    pub roles: Vec<Role>,
    /// What they may do.
    pub permissions: Vec<String>,
    /// The patient they are, if they are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The provider they are, if they are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// The old password and the new.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordChange {
    /// The present one.
    #[schemars(length(min = 1, max = 256))]
    pub current_password: String,
    /// The new one.
    #[schemars(length(min = 1, max = 256))]
    pub new_password: String,
}

/// A password that an administrator sets.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordReset {
    /// The new one.
    #[schemars(length(min = 1, max = 256))]
    pub new_password: String,
}

/// The answer to a change of password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordChanged {
    /// `Password changed`.
    pub status: String,
}

/// A new user.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserRequest {
    /// 3 to 64 letters, digits, dots, dashes, underscores or `@`; upper and lower case are the same.
    #[schemars(length(min = 3, max = 64))]
    pub username: String,
    /// By the stack's password policy.
    #[schemars(length(min = 1, max = 256))]
    pub password: String,
    /// At least one; `service` is for services alone.
    #[schemars(length(min = 1, max = 6))]
    pub roles: Vec<Role>,
    /// The patient that the user is; required for the role `patient`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The provider that the user is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// Whether a user may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UserStatus {
    /// May.
    Active,
    /// May not.
    Disabled,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The id; read-only.
    pub user_id: String,
    /// The name; read-only.
    pub username: String,
    /// What they are.
    #[schemars(length(min = 1, max = 6))]
    pub roles: Vec<Role>,
    /// The patient they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The provider they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Whether they may log in.
    pub status: UserStatus,
}

/// The answer to a user's creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCreated {
    /// The new user's id.
    pub user_id: UserId,
    /// The name as it is kept.
    pub username: String,
    /// `Created`.
    pub status: String,
}

/// The answer to a user's update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserUpdated {
    /// The user's id.
    pub user_id: UserId,
    /// `Updated`.
    pub status: String,
}

/// The answer to a user's deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserDeleted {
    /// `Deleted`.
    pub status: String,
    /// The user's id.
    pub user_id: UserId,
}

/// Which users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserFilter {
    /// The name, exactly but for upper and lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleInfo {
    /// Its name.
    pub role: Role,
    /// What it may do.
    pub permissions: Vec<String>,
}

/// A set of public keys (RFC 7517 §5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JwkSet {
    /// The keys. Who reads them passes over those that it does not understand.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4). The stack's own are Ed25519 (RFC 8037 §2); another issuer's may be P-256 or RSA (RFC 7518 §6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Jwk {
    /// `OKP`, `EC` or `RSA`.
    pub kty: String,
    /// The curve, of `OKP` and `EC`: `Ed25519`, `P-256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// What it signs with: `EdDSA`, `ES256`, `RS256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Names the key.
    pub kid: String,
    /// The key of `OKP`, or the first coordinate of `EC`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The second coordinate of `EC`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The modulus of `RSA`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The exponent of `RSA`; base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

/// From where on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevocationFilter {
    /// The `cursor` of the last answer: waits up to 20 seconds for what comes after it. Absent: everything still in force, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
}

/// What was revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocations {
    /// In order.
    pub items: Vec<Revocation>,
    /// Hand this back as `after`.
    pub cursor: i64,
}

/// Tokens that are no longer good, although they have not expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Every token of this session (`sid`), if set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Every token of this user (`sub`) issued before `issued_before`, if set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Milliseconds since 1970: tokens issued (`iat_ms`) before this are meant.
    pub issued_before: i64,
    /// Seconds since 1970: after this all such tokens have expired, and this may be forgotten.
    pub expires_at: i64,
}
