//! The notification service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::appointment_answers::PatientsWord;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::deliveries::{
    NotificationStatistics, RawMail, ReplayRequest, ReportTaken, SmsCallbackQuery, SmsForm, StatisticsFilter,
    Suppression, SuppressionFilter, SuppressionLifted, Twiml,
};
use crate::devices::{Device, DeviceFilter, DeviceRemoved, DeviceRequest};
use crate::erasure::ServiceErasure;
use crate::event::{Accepted, Event};
use crate::export::{ExportPage, ExportSearch};
use crate::id::{DeviceId, NotificationId, PatientId, ProviderId, SuppressionId};
use crate::keys::ServiceKeys;
use crate::links::{HtmlPage, LinkToken};
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::preferences::{NotificationPreferences, PreferencesUpdated};
use crate::retention::{RetainedPage, RetainedSearch, RetentionRequest, ServiceRetention};
use crate::templates::{Language, MessageTemplate, TemplateChanged, TemplatePreview, TemplateRequest};

api! {
    service NotificationService, tag "Notifications", client NotificationsClient;

    /// Send an email notification.
    send_email: SendEmail = Post "/api/notifications/email" (body EmailRequest),
        needs NotificationsSend, answers 201 NotificationSent;

    /// Send an SMS notification.
    send_sms: SendSms = Post "/api/notifications/sms" (body SmsRequest),
        needs NotificationsSend, answers 201 NotificationSent;

    /// Send a push notification.
    send_push: SendPush = Post "/api/notifications/push" (body PushRequest),
        needs NotificationsSend, answers 201 NotificationSent;

    /// List what was sent: the capture box.
    list_notifications: ListNotifications = Get "/api/notifications" (query NotificationFilter),
        needs NotificationsRead, answers 200 Page<Notification>;

    /// Retrieve a notification by ID.
    notification_by_id: NotificationById = Get "/api/notifications/{notificationId}" [notification_id: NotificationId],
        needs NotificationsRead, answers 200 Notification;

    /// Read how and when a patient wishes to be written to.
    preferences_of_patient: PreferencesOfPatient = Get "/api/notifications/preferences/{patientId}" [patient_id: PatientId],
        needs AppointmentsRead, answers 200 NotificationPreferences;

    /// Change how and when a patient wishes to be written to.
    update_preferences_of_patient: UpdatePreferencesOfPatient = Put "/api/notifications/preferences/{patientId}" [patient_id: PatientId] (body MergePatch<NotificationPreferences>),
        needs AppointmentsWrite, answers 200 PreferencesUpdated;

    /// Read how and when a provider wishes to be written to.
    preferences_of_provider: PreferencesOfProvider = Get "/api/notifications/preferences/providers/{providerId}" [provider_id: ProviderId],
        needs AppointmentsRead, answers 200 NotificationPreferences;

    /// Change how and when a provider wishes to be written to.
    update_preferences_of_provider: UpdatePreferencesOfProvider = Put "/api/notifications/preferences/providers/{providerId}" [provider_id: ProviderId] (body MergePatch<NotificationPreferences>),
        needs AppointmentsWrite, answers 200 PreferencesUpdated;

    /// List what notifications of appointments say, in each language.
    list_templates: ListTemplates = Get "/api/notifications/templates",
        needs NotificationsRead, answers 200 Page<MessageTemplate>;

    /// Read what one kind of notification says in a language.
    template_by_type: TemplateByType = Get "/api/notifications/templates/{typeId}/{languageId}" [kind: NotificationType, language: Language],
        needs NotificationsRead, answers 200 MessageTemplate;

    /// Have it say something else.
    replace_template: ReplaceTemplate = Put "/api/notifications/templates/{typeId}/{languageId}" [kind: NotificationType, language: Language] (body TemplateRequest),
        needs NotificationsWrite, answers 200 TemplateChanged;

    /// Have it say again what it said at first.
    delete_template: DeleteTemplate = Delete "/api/notifications/templates/{typeId}/{languageId}" [kind: NotificationType, language: Language],
        needs NotificationsWrite, answers 200 TemplateChanged;

    /// See what somebody would read of an appointment that is made up.
    preview_template: PreviewTemplate = Post "/api/notifications/templates/{typeId}/{languageId}/preview" [kind: NotificationType, language: Language] (body TemplateRequest),
        needs NotificationsWrite, answers 200 TemplatePreview;

    /// Hand on once more a notification that has failed.
    replay_notification: ReplayNotification = Post "/api/notifications/{notificationId}/replay" [notification_id: NotificationId] (body ReplayRequest),
        needs NotificationsSend, answers 200 NotificationSent;

    /// How many notifications went which way, and where they stand.
    notification_statistics: CountNotifications = Get "/api/notifications/statistics" (query StatisticsFilter),
        needs NotificationsRead, answers 200 NotificationStatistics, unaudited;

    /// Register a device for push messages.
    register_device: RegisterDevice = Post "/api/notifications/devices" (body DeviceRequest),
        signed_in, answers 201 Device;

    /// List somebody's devices.
    list_devices: ListDevices = Get "/api/notifications/devices" (query DeviceFilter),
        signed_in, answers 200 Page<Device>;

    /// Remove a device.
    remove_device: RemoveDevice = Delete "/api/notifications/devices/{deviceId}" [device_id: DeviceId],
        signed_in, answers 200 DeviceRemoved;

    /// List addresses that are written to no more.
    list_suppressions: ListSuppressions = Get "/api/notifications/suppressions" (query SuppressionFilter),
        needs NotificationsSuppress, answers 200 Page<Suppression>;

    /// Write to an address again.
    lift_suppression: LiftSuppression = Delete "/api/notifications/suppressions/{suppressionId}" [suppression_id: SuppressionId],
        needs NotificationsSuppress, answers 200 SuppressionLifted;

    /// Take an SMS provider's word on what became of a message; it signs for it.
    sms_status: SmsStatus = Post "/api/notifications/callbacks/sms" (query SmsCallbackQuery) (form SmsForm),
        public, answers 200 Twiml;

    /// Take a text message that somebody wrote; the SMS provider signs for it.
    sms_inbound: SmsInbound = Post "/api/notifications/callbacks/sms/inbound" (form SmsForm),
        public, answers 200 Twiml;

    /// Take a mail server's report on a mail that came back or was complained of; the clinic's mail server brings its token.
    mail_report: MailReport = Post "/api/notifications/callbacks/mail" (mail RawMail),
        public, answers 200 ReportTaken;

    /// Follow a link that a message has to one of the clinic's pages; it is counted.
    follow_link: FollowLink = Get "/api/notifications/links/{tokenId}/{linkId}" [token: LinkToken, number: u8],
        public, answers 303 HtmlPage;

    /// See what a mail's link ends, before it does.
    unsubscribe_page: UnsubscribePage = Get "/api/notifications/unsubscribe/{tokenId}" [token: LinkToken],
        public, answers 200 HtmlPage;

    /// Get no more mails of a kind, by the link that one of them carries.
    unsubscribe: Unsubscribe = Post "/api/notifications/unsubscribe/{tokenId}" [token: LinkToken],
        public, answers 200 HtmlPage;

    /// See which appointment a reminder's link confirms, before it does.
    confirm_page: ConfirmPage = Get "/api/notifications/confirm/{tokenId}" [token: LinkToken],
        public, answers 200 HtmlPage;

    /// Confirm the appointment, by the link that a reminder carries.
    confirm_by_link: ConfirmByLink = Post "/api/notifications/confirm/{tokenId}" [token: LinkToken],
        public, answers 200 HtmlPage;

    /// See which appointment a reminder's link cancels, before it does.
    cancel_page: CancelPage = Get "/api/notifications/cancel/{tokenId}" [token: LinkToken],
        public, answers 200 HtmlPage;

    /// Cancel the appointment, by the link that a reminder carries.
    cancel_by_link: CancelByLink = Post "/api/notifications/cancel/{tokenId}" [token: LinkToken],
        public, answers 200 HtmlPage;

    /// Take an event.
    deliver_to_notifications: DeliverToNotifications = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// What this service holds of a patient.
    export_of_notifications: ExportOfNotifications = Get "/internal/export/{patientId}" [patient_id: PatientId] (query ExportSearch),
        needs HoldingsCollect, answers 200 ExportPage;

    /// What this service did with the data of a patient who was deleted.
    erasure_of_notifications: ErasureOfNotifications = Get "/internal/erasure/{patientId}" [patient_id: PatientId],
        needs HoldingsCollect, answers 200 ServiceErasure;

    /// What this service keeps of a patient who was deleted.
    retained_by_notifications: RetainedByNotifications = Get "/internal/retained/{patientId}" [patient_id: PatientId] (query RetainedSearch),
        needs HoldingsCollect, answers 200 RetainedPage;

    /// Take away what has had its time here, or say what would go.
    carry_retention_of_notifications: CarryRetentionOfNotifications = Post "/internal/retention" (body RetentionRequest),
        needs RetentionCarry, answers 200 ServiceRetention;

    /// What this service wrote in the audit.
    audit_of_notifications: AuditOfNotifications = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// What this service's data keys are wrapped under.
    keys_of_notifications: KeysOfNotifications = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_notifications: VerifyAuditOfNotifications = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
}

/// The way a notification goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Channel {
    /// Mail.
    Email,
    /// Text message.
    Sms,
    /// To an app on a device.
    Push,
}

/// What a notification is about.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum NotificationType {
    /// Something that somebody wrote; of no type that is known here.
    #[default]
    Message,
    /// An appointment was booked.
    Creation,
    /// An appointment was moved.
    Change,
    /// An appointment was cancelled.
    Cancellation,
    /// An appointment is about to take place.
    Reminder,
    /// Something about an appointment has to be resolved.
    Conflict,
    /// A time that somebody waits for is free.
    Waitlist,
    /// Something that is to be looked at.
    Alert,
    /// Bills and payments.
    Billing,
    /// What nobody needs to know.
    Marketing,
    /// Something about an account, or about who saw what. It is sent whatever is preferred.
    Security,
}

impl NotificationType {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Message,
        Self::Creation,
        Self::Change,
        Self::Cancellation,
        Self::Reminder,
        Self::Conflict,
        Self::Waitlist,
        Self::Alert,
        Self::Billing,
        Self::Marketing,
        Self::Security,
    ];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Creation => "creation",
            Self::Change => "change",
            Self::Cancellation => "cancellation",
            Self::Reminder => "reminder",
            Self::Conflict => "conflict",
            Self::Waitlist => "waitlist",
            Self::Alert => "alert",
            Self::Billing => "billing",
            Self::Marketing => "marketing",
            Self::Security => "security",
        }
    }
}

/// It is none that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no type of notification")]
pub struct NoNotificationType;

impl std::fmt::Display for NotificationType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for NotificationType {
    type Err = NoNotificationType;

    fn from_str(text: &str) -> Result<Self, NoNotificationType> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(NoNotificationType)
    }
}

/// Where a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NotificationStatus {
    /// To be sent at `sendAt`; or did not arrive, and is to go another way.
    Scheduled,
    /// Accepted, not yet handed on.
    Queued,
    /// Handed on; or, without an adapter for its channel, kept in the capture box.
    Sent,
    /// Arrived, as the provider told.
    Delivered,
    /// Refused for good, or come back, with no other way to go; `error` says why.
    Failed,
    /// Not sent: what it told of was moved or cancelled, its time has passed, or whom it is to no longer wishes it.
    Withdrawn,
}

/// Mail to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailRequest {
    /// A mailbox, `name@domain`.
    #[schemars(length(max = 254))]
    pub to: String,
    /// One line.
    #[schemars(length(min = 1, max = 998))]
    pub subject: String,
    /// Plain text.
    #[schemars(length(min = 1, max = 100_000))]
    pub body: String,
    /// Whom it concerns: it is then sealed under their key, and goes when they go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// What it is about; `message` if not given.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<NotificationType>,
    /// Whether it is sent although the person does not wish such, and to an address that is suppressed where the law allows it: for what they must
    /// know. Never to a number that said STOP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
}

/// A text message to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmsRequest {
    /// `+` and 7 to 15 digits.
    #[schemars(regex(pattern = r"^\+[0-9]{7,15}$"))]
    pub to: String,
    /// Plain text.
    #[schemars(length(min = 1, max = 1600))]
    pub message: String,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// What it is about; `message` if not given.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<NotificationType>,
    /// Whether it is sent although the person does not wish such, and to an address that is suppressed where the law allows it: for what they must
    /// know. Never to a number that said STOP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
}

/// A push notification to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushRequest {
    /// The device's token, or the id of a device that is registered here.
    #[schemars(length(min = 1, max = 4096))]
    pub to: String,
    /// One line.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// Plain text.
    #[schemars(length(min = 1, max = 4000))]
    pub message: String,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// What it is about; `message` if not given.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<NotificationType>,
    /// Whether it is sent although the person does not wish such, and to an address that is suppressed where the law allows it: for what they must
    /// know. Never to a number that said STOP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
}

/// The answer: 201 when sent, or refused for good by whoever it was handed to; 202 when queued, to be tried again for a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationSent {
    /// `Sent`, `Queued` or `Failed`.
    pub status: NotificationStatus,
    /// The new notification's id.
    pub notification_id: NotificationId,
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The id.
    pub notification_id: NotificationId,
    /// The way it went.
    pub channel: Channel,
    /// To whom.
    pub to: String,
    /// A mail's subject, a push notification's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    pub body: String,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Where it stands.
    pub status: NotificationStatus,
    /// Why it failed, or has not gone out yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The provider's own code for why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_code: Option<String>,
    /// When it was asked for, RFC 3339 in UTC.
    pub created_at: String,
    /// When it was handed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
    /// What it is about.
    #[serde(rename = "type", default)]
    pub kind: NotificationType,
    /// The appointment that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
    /// When it is to be sent, or was to be, RFC 3339 in UTC; absent of what was sent at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_at: Option<String>,
    /// Whether it was sent whatever is preferred.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// When it arrived, if the provider told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<String>,
    /// When whoever got it complained of it, if they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complained_at: Option<String>,
    /// How often links in it to the clinic's pages were followed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub clicks: u64,
    /// When one was, the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_clicked_at: Option<String>,
    /// What the patient answered by one of its links, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<PatientsWord>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Which notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationFilter {
    /// The way they went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// To whom, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whom they concern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Where they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<NotificationStatus>,
    /// The appointment that they tell of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
    /// What they are about.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<NotificationType>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
