//! The auth service's API: login, tokens, users and roles.

mod roles;
mod sessions;
mod tokens;
mod users;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AccessFilter, AuditEvent, AuditEvents, AuditQuery, AuditSearch, PatientAccess};
use crate::audit_verification::{AuditVerification, ServiceVerification, VerificationQuery};
use crate::erasure::ServiceErasure;
use crate::event::{Accepted, Event};
use crate::export::{ExportPage, ExportSearch};
use crate::id::{IdentityProviderName, PatientId, SessionId, UserId};
use crate::keys::{ServiceKeys, StackKeys};
use crate::merge_patch::MergePatch;
pub use crate::oidc::{IdentityProvider, OidcFinish, OidcSecondFactor, OidcStart, OidcStarted};
use crate::page::Page;
use crate::role_name::RoleName;
pub use crate::second_factor::{
    SecondFactor, SecondFactorCode, SecondFactorConfirmed, SecondFactorOffer, SecondFactorRemoved,
    SecondFactorRequest, SecondFactorStatus,
};

pub use roles::{RoleCreated, RoleDeleted, RoleInfo, RoleRequest, RoleUpdated};
pub use sessions::{Session, SessionFilter, SessionsRevoked, WhichSessions};
pub use tokens::{Introspection, Jwk, JwkSet, Revocation, RevocationFilter, Revocations, TokenForm};
pub use users::{User, UserCreated, UserDeleted, UserFilter, UserRequest, UserStatus, UserUpdated};

api! {
    service AuthService, tag "Authentication", client AuthClient;

    /// Authenticate a user and generate a token.
    login: Login = Post "/api/auth/login" (body LoginRequest),
        public, answers 200 LoggedIn;

    /// Which identity providers one may log in at.
    identity_providers: ListIdentityProviders = Get "/api/auth/oidc",
        public, answers 200 Page<IdentityProvider>, unaudited;

    /// Begin a login at an identity provider (OpenID Connect): gives the address to send the browser to. To be finished in ten minutes.
    start_oidc: StartOidc = Post "/api/auth/oidc/{identityProviderId}/start" [provider: IdentityProviderName] (body OidcStart),
        public, answers 200 OidcStarted, unaudited;

    /// Finish a login with what the identity provider sent the browser back with. A flow is good for one try.
    finish_oidc: FinishOidc = Post "/api/auth/oidc/{identityProviderId}/finish" [provider: IdentityProviderName] (body OidcFinish),
        public, answers 200 LoggedIn;

    /// Go on with a login at an identity provider that was answered `second-factor-required`: with a code of the account's second factor.
    finish_oidc_with_code: FinishOidcWithCode = Post "/api/auth/oidc/{identityProviderId}/second-factor"
        [provider: IdentityProviderName] (body OidcSecondFactor),
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

    /// What this service holds of a patient.
    export_of_auth: ExportOfAuth = Get "/internal/export/{patientId}" [patient_id: PatientId] (query ExportSearch),
        needs HoldingsCollect, answers 200 ExportPage;

    /// What this service did with the data of a patient who was deleted.
    erasure_of_auth: ErasureOfAuth = Get "/internal/erasure/{patientId}" [patient_id: PatientId],
        needs HoldingsCollect, answers 200 ServiceErasure;

    /// What this service wrote in the audit.
    audit_of_auth: AuditOfAuth = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// Which keys the stack has: what data keys are wrapped under, and what tokens are signed with. Never a key.
    stack_keys: ReadStackKeys = Get "/api/admin/keys",
        needs KeysRead, answers 200 StackKeys;

    /// What this service's data keys are wrapped under.
    keys_of_auth: KeysOfAuth = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_auth: VerifyAuditOfAuth = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
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
