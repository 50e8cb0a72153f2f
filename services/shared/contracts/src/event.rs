//! Events: what a service tells the others, at least once, through its outbox.
//!
//! An event is POSTed as JSON to `/internal/events` of each subscriber, which keeps its id to know it again. It carries ids, not
//! health data: who needs more asks for it, with a token.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::ServiceName;

use crate::id::{
    AppointmentId, CredentialId, EventId, GrantId, PatientId, ProviderId, ReferralId, UserId, WaitlistId,
};
use crate::referrals::ReferralStatus;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id: the same on every delivery.
    pub id: EventId,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. A version stands in each name: a changed shape is a new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum What {
    /// A patient was deleted: whatever others hold of them goes too, or is restricted where the law keeps it.
    #[serde(rename = "patient.erased.v1", rename_all = "camelCase")]
    PatientErased {
        /// Who.
        patient_id: PatientId,
    },
    /// The same of a patient whom a legal hold is on: what would go is kept, restricted, as long as it is. Whoever does not know of holds does not know
    /// this event, and does nothing away before they do.
    #[serde(rename = "patient.erased-under-hold.v1")]
    PatientErasedUnderHold(HoldNotice),
    /// A legal hold was placed on a patient, changed or lifted.
    #[serde(rename = "hold.changed.v1")]
    HoldChanged(HoldNotice),
    /// A provider's profile was removed: future appointments with them become conflicts to resolve.
    #[serde(rename = "provider.removed.v1", rename_all = "camelCase")]
    ProviderRemoved {
        /// Who.
        provider_id: ProviderId,
    },
    /// When a provider can be booked has changed: hours, dates, places, kinds of visits, or time off. Who keeps to it asks what it is now.
    #[serde(rename = "provider.schedule-changed.v1", rename_all = "camelCase")]
    ProviderScheduleChanged {
        /// Whose.
        provider_id: ProviderId,
        /// Counts the changes. The highest counts.
        version: i64,
    },
    /// A provider's credential ends soon.
    #[serde(rename = "credential.expiring.v1", rename_all = "camelCase")]
    CredentialExpiring(CredentialNotice),
    /// An appointment was booked.
    #[serde(rename = "appointment.booked.v1", rename_all = "camelCase")]
    AppointmentBooked(AppointmentNotice),
    /// An appointment was moved.
    #[serde(rename = "appointment.rescheduled.v1", rename_all = "camelCase")]
    AppointmentRescheduled(AppointmentNotice),
    /// An appointment was cancelled.
    #[serde(rename = "appointment.cancelled.v1", rename_all = "camelCase")]
    AppointmentCancelled(AppointmentNotice),
    /// A referral was made, or something came of it.
    #[serde(rename = "referral.changed.v1", rename_all = "camelCase")]
    ReferralChanged(ReferralNotice),
    /// A slot is held for somebody who waits for one.
    #[serde(rename = "waitlist.offered.v1")]
    WaitlistOffered(OfferNotice),
    /// What was offered so is not any more: it was declined, or whom it was offered to waits no more. What became of it by time, or by their taking it, is
    /// known without.
    #[serde(rename = "waitlist.offer-ended.v1")]
    WaitlistOfferEnded(OfferNotice),
    /// An appointment was neither moved nor cancelled, and stands otherwise: confirmed, missed, over, or with something to resolve.
    #[serde(rename = "appointment.changed.v1", rename_all = "camelCase")]
    AppointmentChanged(AppointmentNotice),
    /// Who treats whom, or does no more.
    #[serde(rename = "care.told.v1", rename_all = "camelCase")]
    CareTold {
        /// What the sources say now: [`CARE_MAX`] at most.
        care: Vec<CareNotice>,
    },
    /// Somebody opened the records of a patient whom they do not treat.
    #[serde(rename = "glass.broken.v1", rename_all = "camelCase")]
    GlassBroken(GlassNotice),
    /// What somebody opened so was not right, and is shut.
    #[serde(rename = "glass.shut.v1", rename_all = "camelCase")]
    GlassShut(GlassNotice),
    /// What a patient does not share, or with whom, has changed: who keeps to it asks what it is now.
    #[serde(rename = "consent.changed.v1", rename_all = "camelCase")]
    ConsentChanged {
        /// Whose.
        patient_id: PatientId,
    },
    /// A user was changed or deleted: who they are, as far as others keep something of theirs.
    #[serde(rename = "user.changed.v1")]
    UserChanged(UserNotice),
}

/// What an appointment's source of care begins with, before a colon.
pub const APPOINTMENT: &str = "appointment";
/// What the source of a place in a care team begins with, before a colon.
pub const TEAM: &str = "team";

/// So many stand in one event at most.
pub const CARE_MAX: u32 = 100;

/// Which appointment, and what the people in it must be told. Why somebody comes is not in it, nor who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppointmentNotice {
    /// Which.
    pub appointment_id: AppointmentId,
    /// Whose.
    pub patient_id: PatientId,
    /// With whom.
    pub provider_id: ProviderId,
    /// Staff booked it outside the provider's hours, or in the past: the provider is told.
    #[serde(default)]
    pub outside_hours: bool,
    /// As it is now. Left out by the version before this one, which runs beside it during a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlannedAppointment>,
}

/// An appointment as whoever reminds of it must know it. The highest version counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedAppointment {
    /// Counts the appointment's changes.
    pub version: i64,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// How long it takes.
    pub duration_minutes: u32,
    /// The IANA time zone in which date and time were agreed: the provider's place.
    pub time_zone: String,
    /// Where it stands, as the API has it: a text, since the version after this one may know more of them.
    pub status: String,
    /// Whether it is still to take place.
    pub is_open: bool,
    /// Whether somebody has to resolve something about it.
    #[serde(default)]
    pub has_conflict: bool,
    /// With whom it was, if it has just been moved to somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_provider_id: Option<ProviderId>,
    /// What names it in every calendar, and tells nobody its id. Left out by the version before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar_uid: Option<String>,
}

/// Which referral, where it stands, and who is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralNotice {
    /// Which.
    pub referral_id: ReferralId,
    /// Whose.
    pub patient_id: PatientId,
    /// Who is told: to whom it is while it is new, and who made it from then on.
    pub provider_id: ProviderId,
    /// Where it stands.
    pub status: ReferralStatus,
}

/// Which credential ends soon, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialNotice {
    /// Which.
    pub credential_id: CredentialId,
    /// Whose.
    pub provider_id: ProviderId,
    /// Its last day, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub expires_on: String,
}

/// What is offered to whom, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferNotice {
    /// Which entry of the waitlist.
    pub waitlist_id: WaitlistId,
    /// Counts the entry's changes: what is told of a higher one came later. Left out by the version before this one.
    #[serde(default)]
    pub version: i64,
    /// To whom.
    pub patient_id: PatientId,
    /// With whom.
    pub provider_id: ProviderId,
    /// Until when.
    pub until: DateTime<Utc>,
    /// What it is, for whoever writes to them. Left out by the version before this one, which runs beside it during a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<OfferedTime>,
}

/// A user as they are now. The highest version counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserNotice {
    /// Who.
    pub user_id: UserId,
    /// Counts their changes.
    pub version: i64,
    /// Whether they may sign in: not once they are disabled or deleted.
    pub is_active: bool,
    /// The patient they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<PatientId>,
    /// The provider they are, if they treat somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<ProviderId>,
}

/// A time that is offered to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferedTime {
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// How long it takes.
    pub duration_minutes: u32,
    /// The IANA time zone of the provider's place.
    pub time_zone: String,
}

/// That somebody treats somebody, as far as one source says. The highest version of a source counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CareNotice {
    /// What says so: `appointment:` or `team:`, and which.
    pub source: String,
    /// Counts the source's changes.
    pub version: i64,
    /// Who is treated.
    pub patient_id: PatientId,
    /// Who treats.
    pub provider_id: ProviderId,
    /// Until when; absent: no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// The legal hold on a patient, as it is now. The highest version counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HoldNotice {
    /// Whom it is on.
    pub patient_id: PatientId,
    /// Counts its changes.
    pub version: i64,
    /// Whether it was placed, and not lifted since.
    pub is_active: bool,
    /// Until when it is on at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// Who opened whose records in an emergency, and who is to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlassNotice {
    /// By which grant.
    pub grant_id: GrantId,
    /// Whose.
    pub patient_id: PatientId,
    /// Who did.
    pub user_id: UserId,
    /// Until when they see them.
    pub until: DateTime<Utc>,
    /// Who treats the patient.
    #[serde(default)]
    pub provider_ids: Vec<ProviderId>,
}

impl What {
    /// Who was deleted, if that is what happened.
    pub fn erased(&self) -> Option<&PatientId> {
        match self {
            Self::PatientErased { patient_id }
            | Self::PatientErasedUnderHold(HoldNotice { patient_id, .. }) => Some(patient_id),
            _ => None,
        }
    }

    /// What it says of a legal hold, if it does.
    pub const fn hold(&self) -> Option<&HoldNotice> {
        match self {
            Self::PatientErasedUnderHold(hold) | Self::HoldChanged(hold) => Some(hold),
            _ => None,
        }
    }

    /// The appointment that it is about, if it is about one.
    pub const fn appointment(&self) -> Option<&AppointmentNotice> {
        match self {
            Self::AppointmentBooked(notice)
            | Self::AppointmentRescheduled(notice)
            | Self::AppointmentCancelled(notice)
            | Self::AppointmentChanged(notice) => Some(notice),
            _ => None,
        }
    }

    /// The same appointment, to say more of it.
    pub const fn appointment_mut(&mut self) -> Option<&mut AppointmentNotice> {
        match self {
            Self::AppointmentBooked(notice)
            | Self::AppointmentRescheduled(notice)
            | Self::AppointmentCancelled(notice)
            | Self::AppointmentChanged(notice) => Some(notice),
            _ => None,
        }
    }

    /// The name, as it stands in `type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PatientErased { .. } => "patient.erased.v1",
            Self::PatientErasedUnderHold(_) => "patient.erased-under-hold.v1",
            Self::HoldChanged(_) => "hold.changed.v1",
            Self::ProviderRemoved { .. } => "provider.removed.v1",
            Self::ProviderScheduleChanged { .. } => "provider.schedule-changed.v1",
            Self::CredentialExpiring(_) => "credential.expiring.v1",
            Self::AppointmentBooked(_) => "appointment.booked.v1",
            Self::AppointmentRescheduled(_) => "appointment.rescheduled.v1",
            Self::AppointmentCancelled(_) => "appointment.cancelled.v1",
            Self::ReferralChanged(_) => "referral.changed.v1",
            Self::WaitlistOffered(_) => "waitlist.offered.v1",
            Self::WaitlistOfferEnded(_) => "waitlist.offer-ended.v1",
            Self::AppointmentChanged(_) => "appointment.changed.v1",
            Self::CareTold { .. } => "care.told.v1",
            Self::GlassBroken(_) => "glass.broken.v1",
            Self::GlassShut(_) => "glass.shut.v1",
            Self::ConsentChanged { .. } => "consent.changed.v1",
            Self::UserChanged(_) => "user.changed.v1",
        }
    }

    /// Whether such an event is this service's to tell. Whoever has another's key tells nobody anything by it.
    pub fn is_told_by(&self, service: ServiceName) -> bool {
        use ServiceName as S;
        let of_source = |care: &CareNotice| match care.source.split_once(':') {
            Some((APPOINTMENT, _)) => service == S::AppointmentService,
            Some((TEAM, _)) => service == S::PatientService,
            _ => false,
        };
        match self {
            Self::PatientErased { .. }
            | Self::PatientErasedUnderHold(_)
            | Self::HoldChanged(_)
            | Self::ConsentChanged { .. } => service == S::PatientService,
            Self::ProviderRemoved { .. }
            | Self::ProviderScheduleChanged { .. }
            | Self::CredentialExpiring(_) => service == S::ProviderService,
            Self::AppointmentBooked(_)
            | Self::AppointmentRescheduled(_)
            | Self::AppointmentCancelled(_)
            | Self::AppointmentChanged(_)
            | Self::ReferralChanged(_)
            | Self::WaitlistOffered(_)
            | Self::WaitlistOfferEnded(_) => service == S::AppointmentService,
            Self::CareTold { care } => care.iter().all(of_source),
            Self::GlassBroken(_) | Self::GlassShut(_) => service == S::MedicalRecordsService,
            Self::UserChanged(_) => service == S::AuthService,
        }
    }

    /// Who is told.
    pub const fn subscribers(&self) -> &'static [ServiceName] {
        use ServiceName as S;
        match self {
            Self::PatientErased { .. } | Self::PatientErasedUnderHold(_) => &[
                S::AppointmentService,
                S::BillingService,
                S::MedicalRecordsService,
                S::NotificationService,
                S::AuthService,
            ],
            Self::HoldChanged(_) => {
                &[S::AppointmentService, S::BillingService, S::MedicalRecordsService, S::NotificationService]
            }
            Self::ProviderRemoved { .. } => &[S::AppointmentService, S::AuthService],
            Self::ProviderScheduleChanged { .. } => &[S::AppointmentService],
            Self::CareTold { .. } => &[
                S::AppointmentService,
                S::PatientService,
                S::MedicalRecordsService,
                S::BillingService,
                S::NotificationService,
            ],
            Self::CredentialExpiring(_)
            | Self::ReferralChanged(_)
            | Self::AppointmentBooked(_)
            | Self::AppointmentRescheduled(_)
            | Self::AppointmentCancelled(_)
            | Self::AppointmentChanged(_)
            | Self::WaitlistOffered(_)
            | Self::WaitlistOfferEnded(_)
            | Self::UserChanged(_) => &[S::NotificationService],
            Self::GlassBroken(_) | Self::GlassShut(_) => {
                &[S::AppointmentService, S::PatientService, S::BillingService, S::NotificationService]
            }
            Self::ConsentChanged { .. } => {
                &[S::AppointmentService, S::MedicalRecordsService, S::BillingService]
            }
        }
    }
}

/// A delivery: the same operation on every subscriber.
pub type Deliver = crate::appointments::DeliverToAppointments;

/// The answer to a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// Whether it was new; false on a repeated delivery.
    pub first_time: bool,
}
