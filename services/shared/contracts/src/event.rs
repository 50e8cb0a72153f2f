//! Events: what a service tells the others, at least once, through its outbox.
//!
//! An event is POSTed as JSON to `/internal/events` of each subscriber, which keeps its id to know it again. It carries ids, not
//! health data: who needs more asks for it, with a token.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::ServiceName;

use crate::id::{AppointmentId, EventId, PatientId, ProviderId};

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
    /// A provider's profile was removed: future appointments with them become conflicts to resolve.
    #[serde(rename = "provider.removed.v1", rename_all = "camelCase")]
    ProviderRemoved {
        /// Who.
        provider_id: ProviderId,
    },
    /// An appointment was booked.
    #[serde(rename = "appointment.booked.v1", rename_all = "camelCase")]
    AppointmentBooked(AppointmentNotice),
    /// An appointment was moved.
    #[serde(rename = "appointment.rescheduled.v1", rename_all = "camelCase")]
    AppointmentRescheduled(AppointmentNotice),
    /// An appointment was cancelled.
    #[serde(rename = "appointment.cancelled.v1", rename_all = "camelCase")]
    AppointmentCancelled(AppointmentNotice),
}

/// Which appointment, and what the people in it must be told.
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
}

impl What {
    /// The name, as it stands in `type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PatientErased { .. } => "patient.erased.v1",
            Self::ProviderRemoved { .. } => "provider.removed.v1",
            Self::AppointmentBooked(_) => "appointment.booked.v1",
            Self::AppointmentRescheduled(_) => "appointment.rescheduled.v1",
            Self::AppointmentCancelled(_) => "appointment.cancelled.v1",
        }
    }

    /// Who is told.
    pub const fn subscribers(&self) -> &'static [ServiceName] {
        use ServiceName as S;
        match self {
            Self::PatientErased { .. } => &[
                S::AppointmentService,
                S::BillingService,
                S::MedicalRecordsService,
                S::NotificationService,
                S::AuthService,
            ],
            Self::ProviderRemoved { .. } => &[S::AppointmentService, S::AuthService],
            Self::AppointmentBooked(_) | Self::AppointmentRescheduled(_) | Self::AppointmentCancelled(_) => {
                &[S::NotificationService]
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
