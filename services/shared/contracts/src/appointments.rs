//! The appointment service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::erasure::ServiceErasure;
use crate::event::{Accepted, Event};
use crate::export::{ExportPage, ExportSearch};
use crate::feeds::{CalendarText, Feed, FeedCreated, FeedFile, FeedFilter, FeedRequest, FeedRevoked};
use crate::id::{AppointmentId, FeedId, PatientId, ProviderId, ReferralId};
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::referrals::{
    AcceptRequest, DeclineRequest, Referral, ReferralFilter, ReferralRequest, ReferralSaved,
};
use crate::retention::{RetainedPage, RetainedSearch, RetentionRequest, ServiceRetention};

api! {
    service AppointmentService, tag "Appointments", client AppointmentsClient;

    /// Create a new appointment.
    book_appointment: BookAppointment = Post "/api/appointments" (body AppointmentRequest),
        needs AppointmentsWrite, answers 201 AppointmentBooked;

    /// List appointments by patient, provider, status and dates.
    list_appointments: ListAppointments = Get "/api/appointments" (query AppointmentFilter),
        needs AppointmentsRead, answers 200 Page<Appointment>;

    /// Retrieve an appointment by ID.
    appointment_by_id: AppointmentById = Get "/api/appointments/{appointmentId}" [appointment_id: AppointmentId],
        needs AppointmentsRead, answers 200 Appointment;

    /// Update an appointment.
    update_appointment: UpdateAppointment = Put "/api/appointments/{appointmentId}" [appointment_id: AppointmentId]
        (body MergePatch<Appointment>),
        needs AppointmentsWrite, answers 200 AppointmentUpdated;

    /// Cancel an appointment.
    cancel_appointment: CancelAppointment = Delete "/api/appointments/{appointmentId}" [appointment_id: AppointmentId],
        needs AppointmentsWrite, answers 200 AppointmentCancelled;

    /// Who changed what in an appointment, and when.
    appointment_history: AppointmentHistory = Get "/api/appointments/{appointmentId}/history"
        [appointment_id: AppointmentId] (query HistoryFilter),
        needs AppointmentsRead, answers 200 Page<AppointmentChange>;

    /// A provider's free slots: stated hours less what is booked.
    provider_slots: ProviderSlots = Get "/api/providers/{providerId}/slots" [provider_id: ProviderId] (query SlotFilter),
        needs AppointmentsRead, answers 200 Page<Slot>, unaudited;

    /// Make a calendar feed of a patient's or a provider's appointments; its address is told once.
    create_feed: CreateFeed = Post "/api/appointments/feeds" (body FeedRequest),
        needs FeedsWrite, answers 201 FeedCreated;

    /// A patient's or a provider's calendar feeds.
    list_feeds: ListFeeds = Get "/api/appointments/feeds" (query FeedFilter),
        needs FeedsRead, answers 200 Page<Feed>;

    /// Revoke a calendar feed.
    revoke_feed: RevokeFeed = Delete "/api/appointments/feeds/{feedId}" [feed_id: FeedId],
        needs FeedsWrite, answers 200 FeedRevoked;

    /// The calendar of a feed, for calendar programs: `fileId` is its secret and `.ics`.
    feed_calendar: FeedCalendar = Get "/api/appointments/feeds/{feedId}/{fileId}" [feed_id: FeedId, file_id: FeedFile],
        public, answers 200 CalendarText;

    /// Refer a patient to another provider, or to a speciality.
    create_referral: CreateReferral = Post "/api/referrals" (body ReferralRequest),
        needs AppointmentsWrite, answers 201 ReferralSaved;

    /// List referrals, newest first.
    list_referrals: ListReferrals = Get "/api/referrals" (query ReferralFilter),
        needs AppointmentsRead, answers 200 Page<Referral>;

    /// Retrieve a referral, and what was done with it.
    referral_by_id: ReferralById = Get "/api/referrals/{referralId}" [referral_id: ReferralId],
        needs AppointmentsRead, answers 200 Referral;

    /// Accept a referral.
    accept_referral: AcceptReferral = Post "/api/referrals/{referralId}/accept" [referral_id: ReferralId]
        (body AcceptRequest),
        needs AppointmentsWrite, answers 200 ReferralSaved;

    /// Decline a referral.
    decline_referral: DeclineReferral = Post "/api/referrals/{referralId}/decline" [referral_id: ReferralId]
        (body DeclineRequest),
        needs AppointmentsWrite, answers 200 ReferralSaved;

    /// Take an event.
    deliver_to_appointments: DeliverToAppointments = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// What this service holds of a patient.
    export_of_appointments: ExportOfAppointments = Get "/internal/export/{patientId}" [patient_id: PatientId] (query ExportSearch),
        needs HoldingsCollect, answers 200 ExportPage;

    /// What this service did with the data of a patient who was deleted.
    erasure_of_appointments: ErasureOfAppointments = Get "/internal/erasure/{patientId}" [patient_id: PatientId],
        needs HoldingsCollect, answers 200 ServiceErasure;

    /// What this service keeps of a patient who was deleted.
    retained_by_appointments: RetainedByAppointments = Get "/internal/retained/{patientId}" [patient_id: PatientId] (query RetainedSearch),
        needs HoldingsCollect, answers 200 RetainedPage;

    /// Take away what has had its time here, or say what would go.
    carry_retention_of_appointments: CarryRetentionOfAppointments = Post "/internal/retention" (body RetentionRequest),
        needs RetentionCarry, answers 200 ServiceRetention;

    /// What this service wrote in the audit.
    audit_of_appointments: AuditOfAppointments = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// What this service's data keys are wrapped under.
    keys_of_appointments: KeysOfAppointments = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_appointments: VerifyAuditOfAppointments = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
}

/// Where an appointment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AppointmentStatus {
    /// Booked.
    Scheduled,
    /// Booked, then moved.
    Rescheduled,
    /// The patient has said that they come.
    Confirmed,
    /// The patient is here.
    CheckedIn,
    /// It took place.
    Completed,
    /// It will not take place.
    Cancelled,
    /// The patient did not come.
    NoShow,
}

/// A booking asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentRequest {
    /// An id of the client's own; left out, the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<String>,
    /// Whose.
    pub patient_id: String,
    /// With whom.
    pub provider_id: String,
    /// The date at the provider's place, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub appointment_date: String,
    /// The beginning at the provider's place, `HH:MM`. Where clocks are set back and it comes twice, the first is meant.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub time_slot: String,
    /// How long, minutes: 5 to 480, 30 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: Option<u32>,
    /// `Scheduled` (if not given) or `Confirmed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AppointmentStatus>,
    /// Why, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub reason: Option<String>,
    /// The referral that it is booked from, of the same patient and to this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral_id: Option<String>,
}

/// An appointment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Appointment {
    /// The id.
    pub appointment_id: String,
    /// Whose.
    pub patient_id: String,
    /// With whom.
    pub provider_id: String,
    /// The date at the provider's place, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub appointment_date: String,
    /// The beginning at the provider's place, `HH:MM`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub time_slot: String,
    /// How long, minutes.
    #[schemars(range(min = 5, max = 480))]
    pub duration_minutes: u32,
    /// The provider's IANA time zone when it was booked; read-only.
    pub time_zone: String,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// Why, in plain words. Left out for whoever has no permission `appointments:reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub reason: Option<String>,
    /// `ProviderRemoved`: the provider's profile is gone and somebody must move or cancel this; read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}

/// Something that staff should know of a booking that was made all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// `outside-hours` or `in-the-past`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// The answer to a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentBooked {
    /// The new appointment's id.
    pub appointment_id: AppointmentId,
    /// `Created`.
    pub status: String,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// The answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentUpdated {
    /// The appointment's id.
    pub appointment_id: AppointmentId,
    /// `Updated`.
    pub status: String,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// The answer to a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentCancelled {
    /// `Cancelled`.
    pub status: String,
    /// The appointment's id.
    pub appointment_id: AppointmentId,
}

/// One change of an appointment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentChange {
    /// The version that this change made, from 1.
    pub version: i64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Who: a user's id, or `service:` and a name.
    pub by: String,
    /// `Created`, `Updated`, `Rescheduled`, `Cancelled`, `ProviderRemoved`.
    pub action: String,
    /// Which members, from what to what, but for those that the caller is not shown.
    pub changes: Vec<FieldChange>,
}

/// One member's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The member's name.
    pub field: String,
    /// What it was, as text; null if it was not there.
    pub from: Option<String>,
    /// What it is, as text; null if it is gone.
    pub to: Option<String>,
}

/// A free slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// The date at the provider's place, `YYYY-MM-DD`.
    pub date: String,
    /// The beginning at the provider's place, `HH:MM`.
    pub time_slot: String,
    /// How long, minutes.
    pub duration_minutes: u32,
}

/// Which appointments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentFilter {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// With whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Where they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AppointmentStatus>,
    /// On this date (in the stack's time zone) or later, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// On this date or earlier, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which stretch of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryFilter {
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotFilter {
    /// First date at the provider's place, `YYYY-MM-DD`; today if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last date, `YYYY-MM-DD`, at most 31 days later; a week later if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How long, minutes: 5 to 480, 30 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<u32>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
