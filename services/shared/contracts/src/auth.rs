//! The auth service's API: login, tokens, users and roles.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AccessFilter, AuditEvent, AuditEvents, AuditQuery, AuditSearch, PatientAccess};
use crate::audit_verification::{AuditVerification, ServiceVerification, VerificationQuery};
use crate::event::{Accepted, Event};
use crate::id::{PatientId, SessionId, UserId};
use crate::keys::{ServiceKeys, StackKeys};
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::role_name::RoleName;
pub use crate::second_factor::{
    SecondFactor, SecondFactorCode, SecondFactorConfirmed, SecondFactorOffer, SecondFactorRemoved,
    SecondFactorRequest, SecondFactorStatus,
};

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

    /// End the session of an access or refresh token (RFC 7009). The token is the credential; one that is not known is answered alike.
    revoke_token: RevokeToken = Post "/api/auth/revoke" (form TokenForm),
        public, answers 200 SessionsRevoked;

    /// Ask whether a token is good, and whose it is (RFC 7662).
    introspect_token: IntrospectToken = Post "/api/auth/introspect" (form TokenForm),
        needs TokensIntrospect, answers 200 Introspection;

    /// Who is signed in, and what they may do.
    me: Me = Get "/api/auth/me",
        signed_in, answers 200 Identity;

    /// Change one's own password; every other session of the user ends.
    change_password: ChangePassword = Put "/api/auth/me/password" (body PasswordChange),
        signed_in, answers 200 PasswordChanged;

    /// Whether one has a second factor, and whether one must.
    second_factor: OwnSecondFactor = Get "/api/auth/me/second-factor",
        enrolling, answers 200 SecondFactor;

    /// Begin to enrol a second factor: gives a secret for an app that shows codes (TOTP, RFC 6238). One that there is stays until it is confirmed.
    offer_second_factor: OfferSecondFactor = Post "/api/auth/me/second-factor" (body SecondFactorRequest),
        enrolling, answers 201 SecondFactorOffer;

    /// Confirm a second factor by a first code of it; gives recovery codes, and every other session of the user ends.
    confirm_second_factor: ConfirmSecondFactor = Post "/api/auth/me/second-factor/confirm" (body SecondFactorCode),
        enrolling, answers 200 SecondFactorConfirmed;

    /// Remove one's own second factor, unless a role asks for one.
    remove_second_factor: RemoveSecondFactor = Post "/api/auth/me/second-factor/remove" (body SecondFactorRequest),
        signed_in, answers 200 SecondFactorRemoved;

    /// List one's own sessions, newest first.
    list_sessions: ListSessions = Get "/api/auth/sessions" (query SessionFilter),
        signed_in, answers 200 Page<Session>;

    /// End one of one's own sessions, with its tokens.
    revoke_session: RevokeSession = Delete "/api/auth/sessions/{sessionId}" [session_id: SessionId],
        signed_in, answers 200 SessionsRevoked;

    /// End one's own sessions, all of them or all others.
    revoke_sessions: RevokeSessions = Delete "/api/auth/sessions" (query WhichSessions),
        signed_in, answers 200 SessionsRevoked;

    /// List a user's sessions, newest first.
    list_user_sessions: ListUserSessions = Get "/api/auth/users/{userId}/sessions" [user_id: UserId]
        (query SessionFilter),
        needs SessionsRead, answers 200 Page<Session>;

    /// End one of a user's sessions, with its tokens.
    revoke_user_session: RevokeUserSession = Delete "/api/auth/users/{userId}/sessions/{sessionId}"
        [user_id: UserId, session_id: SessionId],
        needs SessionsWrite, answers 200 SessionsRevoked;

    /// End all of a user's sessions.
    revoke_user_sessions: RevokeUserSessions = Delete "/api/auth/users/{userId}/sessions" [user_id: UserId],
        needs SessionsWrite, answers 200 SessionsRevoked;

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

    /// Whether a user has a second factor, and whether they must.
    user_second_factor: UserSecondFactor = Get "/api/auth/users/{userId}/second-factor" [user_id: UserId],
        needs UsersRead, answers 200 SecondFactor;

    /// Take a user's second factor away, who has lost it; every session of the user ends.
    reset_second_factor: ResetSecondFactor = Delete "/api/auth/users/{userId}/second-factor" [user_id: UserId],
        needs UsersWrite, answers 200 SecondFactorRemoved;

    /// Delete a user.
    delete_user: DeleteUser = Delete "/api/auth/users/{userId}" [user_id: UserId],
        needs UsersWrite, answers 200 UserDeleted;

    /// List roles with their permissions.
    list_roles: ListRoles = Get "/api/auth/roles",
        needs UsersRead, answers 200 Page<RoleInfo>, unaudited;

    /// Make a role of permissions that one has oneself.
    create_role: CreateRole = Post "/api/auth/roles" (body RoleRequest),
        needs RolesWrite, answers 201 RoleCreated;

    /// Retrieve a role by its name.
    role_by_name: RoleByName = Get "/api/auth/roles/{roleId}" [role: RoleName],
        needs UsersRead, answers 200 RoleInfo;

    /// Change what a role may do that was made; sessions of whoever has it end.
    update_role: UpdateRole = Put "/api/auth/roles/{roleId}" [role: RoleName] (body MergePatch<RoleInfo>),
        needs RolesWrite, answers 200 RoleUpdated;

    /// Delete a role that was made; sessions of whoever has it end.
    delete_role: DeleteRole = Delete "/api/auth/roles/{roleId}" [role: RoleName],
        needs RolesWrite, answers 200 RoleDeleted;

    /// The public keys that tokens are signed with (RFC 7517).
    jwks: JsonWebKeys = Get "/.well-known/jwks.json",
        public, answers 200 JwkSet, unaudited;

    /// What was revoked after a point; waits some seconds for something new.
    revocations: ListRevocations = Get "/internal/revocations" (query RevocationFilter),
        needs RevocationsRead, answers 200 Revocations, unaudited;

    /// Take an event.
    deliver_to_auth: DeliverToAuth = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// Who did what to whose data, at every service, the newest first.
    list_audit: ListAudit = Get "/api/audit" (query AuditQuery),
        needs AuditRead, answers 200 Page<AuditEvent>;

    /// Whether the audit of every service is as it was written, and the first entry that is not.
    verify_audit: VerifyAudit = Get "/api/audit/verification" (query VerificationQuery),
        needs AuditRead, answers 200 AuditVerification;

    /// Who has seen or changed a patient's data: for the patient, and for whoever may read the audit.
    patient_accesses: PatientAccesses = Get "/api/patients/{patientId}/accesses" [patient_id: PatientId] (query AccessFilter),
        needs PatientsRead, answers 200 Page<PatientAccess>;

    /// What this service wrote in the audit.
    audit_of_auth: AuditOfAuth = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_auth: VerifyAuditOfAuth = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;

    /// Which keys the stack has: what data keys are wrapped under, and what tokens are signed with. Never a key.
    stack_keys: ReadStackKeys = Get "/api/admin/keys",
        needs KeysRead, answers 200 StackKeys;

    /// What this service's data keys are wrapped under.
    keys_of_auth: KeysOfAuth = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;
}

/// A user's name and password, and a code if the account has a second factor.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginRequest {
    /// The user's name.
    #[schemars(length(min = 1, max = 64))]
    pub username: String,
    /// The password.
    #[schemars(length(min = 1, max = 256))]
    pub password: String,
    /// What the app shows, or a recovery code. An account without a second factor needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub code: Option<String>,
}

/// A pair of tokens.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedIn {
    /// The access token: a JWT, for `Authorization: Bearer`.
    pub token: String,
    /// Good for one refresh.
    pub refresh_token: String,
    /// `Authenticated`; `Enrolment required` for whoever may do nothing but enrol the second factor that a role of theirs asks for.
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

/// A token (RFC 7009 §2.1, RFC 7662 §2.1). Parameters that are not named here are passed over.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenForm {
    /// An access token, or a refresh token.
    #[schemars(length(min = 1, max = 8192))]
    pub token: String,
    /// `access_token` or `refresh_token`; not needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type_hint: Option<String>,
}

/// What a token is good for (RFC 7662 §2.2). Of one that is not good nothing is said but that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Introspection {
    /// Whether it is good just now.
    pub active: bool,
    /// What its bearer may do, names separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `Bearer`; a refresh token has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Good until, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Issued, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Who issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
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
    pub roles: Vec<RoleName>,
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

/// A session: somebody who logged in somewhere and has not been logged off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id, `sid` in its tokens.
    pub session_id: SessionId,
    /// Whether it is the one that asks.
    pub is_current: bool,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<DateTime<Utc>>,
    /// It ends if it is not refreshed by then…
    pub idle_until: DateTime<Utc>,
    /// …and by then in any case.
    pub expires_at: DateTime<Utc>,
    /// The address that it was begun from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What it was begun with (`User-Agent`), if that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// Which sessions to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionFilter {
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which sessions to end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhichSessions {
    /// Whether to keep the one that asks; if not given, it ends too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_current: Option<bool>,
}

/// The answer to a session's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionsRevoked {
    /// `Revoked`.
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
    /// At least one, of those that were made here 5 at most; `service` is for services alone.
    #[schemars(length(min = 1, max = 11))]
    pub roles: Vec<RoleName>,
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
    #[schemars(length(min = 1, max = 11))]
    pub roles: Vec<RoleName>,
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
    /// Its name; read-only.
    pub role: RoleName,
    /// What it may do.
    #[schemars(length(min = 1))]
    pub permissions: Vec<String>,
    /// Whether every stack has it, so that it cannot be changed; read-only.
    pub built_in: bool,
}

/// A new role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRequest {
    /// Its name: 2 to 40 small letters, digits and dashes, beginning with a letter. One once used is never used again.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{1,39}$"))]
    pub role: String,
    /// What it may do: permissions that whoever makes it has.
    #[schemars(length(min = 1))]
    pub permissions: Vec<String>,
}

/// The answer to a role's creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleCreated {
    /// Its name.
    pub role: RoleName,
    /// `Created`.
    pub status: String,
}

/// The answer to a role's update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleUpdated {
    /// Its name.
    pub role: RoleName,
    /// `Updated`.
    pub status: String,
}

/// The answer to a role's deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleDeleted {
    /// `Deleted`.
    pub status: String,
    /// Its name.
    pub role: RoleName,
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
    /// The `cursor` of the last answer: waits some seconds for what comes after it. Absent: everything still in force, at once.
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
