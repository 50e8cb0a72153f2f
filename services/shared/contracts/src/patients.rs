//! The patient service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::care_team::{CareTeamChanged, CareTeamMember, CareTeamRequest};
use crate::consents::{Consent, ConsentChanged, ConsentRequest, Denials};
use crate::erasure::ErasureReport;
use crate::event::{Accepted, Event};
use crate::export::{ExportFilter, Zip};
use crate::holds::{Hold, HoldChanged, HoldRequest};
use crate::id::{ConsentId, PatientId, ProviderId};
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::retention::{RetainedFilter, RetainedItem, RetentionReport, RetentionRequest};
pub use crate::shared::ContactInfo;

api! {
    service PatientService, tag "Patients", client PatientsClient;

    /// Register a new patient.
    register_patient: RegisterPatient = Post "/api/patients" (body PatientRegistration),
        needs PatientsWrite, answers 201 PatientRegistered;

    /// List patients, or find them by name, birth date, phone or e-mail.
    list_patients: ListPatients = Get "/api/patients" (query PatientFilter),
        needs PatientsRead, answers 200 Page<Patient>;

    /// Retrieve patient information by ID.
    patient_by_id: PatientById = Get "/api/patients/{patientId}" [patient_id: PatientId],
        needs PatientsRead, answers 200 Patient;

    /// Update patient information.
    update_patient: UpdatePatient = Put "/api/patients/{patientId}" [patient_id: PatientId] (body MergePatch<Patient>),
        needs PatientsWrite, answers 200 PatientUpdated;

    /// Delete a patient record.
    delete_patient: DeletePatient = Delete "/api/patients/{patientId}" [patient_id: PatientId],
        needs PatientsDelete, answers 200 PatientDeleted;

    /// Take along all that is held on a patient, as a zip of JSON files.
    export_patient: ExportPatient = Get "/api/patients/{patientId}/export" [patient_id: PatientId] (query ExportFilter),
        needs PatientsExport, answers 200 Zip;

    /// Tell what became of a deleted patient's data: what was done away with, and what is kept, why and until when.
    patient_erasure: PatientErasure = Get "/api/patients/{patientId}/erasure" [patient_id: PatientId],
        needs ErasuresRead, answers 200 ErasureReport;

    /// See what is kept of a deleted patient: for its years, or under a legal hold.
    retained_of_patient: RetainedOfPatient = Get "/api/patients/{patientId}/retained" [patient_id: PatientId] (query RetainedFilter),
        needs RetainedRead, answers 200 Page<RetainedItem>;

    /// Take away what has had its time, everywhere, or see what would go.
    run_retention: RunRetention = Post "/api/admin/retention" (body RetentionRequest),
        needs RetentionRun, answers 200 RetentionReport;

    /// See why nothing of a patient may be done away with.
    hold_of_patient: HoldOfPatient = Get "/api/patients/{patientId}/hold" [patient_id: PatientId],
        needs HoldsRead, answers 200 Hold;

    /// Place a legal hold on a patient, or change the one that is on them.
    place_hold: PlaceHold = Put "/api/patients/{patientId}/hold" [patient_id: PatientId] (body HoldRequest),
        needs HoldsWrite, answers 200 HoldChanged;

    /// Lift the legal hold that is on a patient.
    lift_hold: LiftHold = Delete "/api/patients/{patientId}/hold" [patient_id: PatientId],
        needs HoldsWrite, answers 200 HoldChanged;

    /// List who treats a patient, beside those whom they have appointments with.
    list_care_team: ListCareTeam = Get "/api/patients/{patientId}/care-team" [patient_id: PatientId],
        needs PatientsRead, answers 200 Page<CareTeamMember>;

    /// Let a provider treat a patient, until a day or until further notice.
    join_care_team: JoinCareTeam = Put "/api/patients/{patientId}/care-team/{providerId}" [patient_id: PatientId, provider_id: ProviderId] (body CareTeamRequest),
        needs CareWrite, answers 200 CareTeamChanged;

    /// Let a provider treat a patient no more.
    leave_care_team: LeaveCareTeam = Delete "/api/patients/{patientId}/care-team/{providerId}" [patient_id: PatientId, provider_id: ProviderId],
        needs CareWrite, answers 200 CareTeamChanged;

    /// List what a patient does not share, and with whom.
    list_consents: ListConsents = Get "/api/patients/{patientId}/consents" [patient_id: PatientId],
        needs ConsentsRead, answers 200 Page<Consent>;

    /// Record that a patient does not share something with somebody.
    record_consent: RecordConsent = Post "/api/patients/{patientId}/consents" [patient_id: PatientId] (body ConsentRequest),
        needs ConsentsWrite, answers 201 ConsentChanged;

    /// Withdraw it: it is shared again.
    withdraw_consent: WithdrawConsent = Delete "/api/patients/{patientId}/consents/{consentId}" [patient_id: PatientId, consent_id: ConsentId],
        needs ConsentsWrite, answers 200 ConsentChanged;

    /// What a patient does not share, for whoever has to keep to it.
    denials_of_patient: DenialsOfPatient = Get "/internal/consents/{patientId}" [patient_id: PatientId],
        needs ConsentsCollect, answers 200 Denials;

    /// Where a patient is reached, for whoever writes to them.
    contact_of_patient: ContactOfPatient = Get "/internal/contacts/{patientId}" [patient_id: PatientId],
        needs ContactsCollect, answers 200 PatientContact;

    /// Take an event.
    deliver_to_patients: DeliverToPatients = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// What this service wrote in the audit.
    audit_of_patients: AuditOfPatients = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// What this service's data keys are wrapped under.
    keys_of_patients: KeysOfPatients = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_patients: VerifyAuditOfPatients = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
}

/// A new patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientRegistration {
    /// An id of the client's own; left out, the server makes one. Clinicians leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Full name.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub dob: String,
    /// Phone and e-mail, at least one of them.
    pub contact_info: ContactInfo,
    /// Allergies and chronic conditions.
    #[serde(default)]
    pub medical_history: MedicalHistory,
}

/// What is known of a patient's health at registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MedicalHistory {
    /// Substances, in plain words.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub allergies: Vec<String>,
    /// Conditions, in plain words.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub chronic_conditions: Vec<String>,
}

/// A patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Patient {
    /// The id.
    pub patient_id: String,
    /// Full name.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub dob: String,
    /// Phone and e-mail.
    pub contact_info: ContactInfo,
    /// Allergies and chronic conditions. Left out for whoever has no permission `patients:clinical`, or with whom the patient does not share
    /// it: that it is not there says nothing of the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medical_history: Option<MedicalHistory>,
}

/// Where a patient is reached, and nothing else of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientContact {
    /// Whose.
    pub patient_id: PatientId,
    /// Phone and e-mail.
    pub contact_info: ContactInfo,
}

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientRegistered {
    /// The new patient's id.
    pub patient_id: PatientId,
    /// `Registered`.
    pub status: String,
}

/// The answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientUpdated {
    /// The patient's id.
    pub patient_id: PatientId,
    /// `Updated`.
    pub status: String,
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientDeleted {
    /// `Deleted`.
    pub status: String,
    /// The patient's id.
    pub patient_id: PatientId,
}

/// Which patients. Names, phones and mail addresses are matched exactly on their normalised form; a name also by its words'
/// beginnings of three letters or more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatientFilter {
    /// Words of the name, or their beginnings: `joh do` finds John Doe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Date of birth, `YYYY-MM-DD`. Needs `name`, `phone` or `email` beside it: nobody is looked for by a birth date alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dob: Option<String>,
    /// Phone, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// E-mail, exactly but for upper and lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
