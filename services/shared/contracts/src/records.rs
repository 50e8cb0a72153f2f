//! The medical records service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amendments::{
    Amendment, AmendmentAnswered, AmendmentFilter, AmendmentRequest, AmendmentRequested, DecisionRequest,
    DisagreementRequest,
};
use crate::api;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::break_glass::{
    BreakGlassFilter, BreakGlassRequest, BrokenGlass, GlassBroken, GlassReviewed, ReviewRequest,
};
use crate::erasure::ServiceErasure;
use crate::event::{Accepted, Event};
use crate::export::{ExportPage, ExportSearch};
use crate::id::{AmendmentId, GrantId, PatientId, RecordId};
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::page::Page;
use crate::retention::{RetainedPage, RetainedSearch, RetentionRequest, ServiceRetention};

api! {
    service MedicalRecordsService, tag "Medical records", client RecordsClient;

    /// Create a new medical record.
    create_record: CreateRecord = Post "/api/records" (body RecordRequest),
        needs RecordsWrite, answers 201 RecordCreated;

    /// List medical records by patient and dates.
    list_records: ListRecords = Get "/api/records" (query RecordFilter),
        needs RecordsRead, answers 200 Page<MedicalRecord>;

    /// Retrieve a medical record by ID.
    get_record_by_id: GetRecordById = Get "/api/records/{recordId}" [record_id: RecordId],
        needs RecordsRead, answers 200 MedicalRecord;

    /// Update a medical record.
    update_record: UpdateRecord = Put "/api/records/{recordId}" [record_id: RecordId] (body MergePatch<MedicalRecord>),
        needs RecordsWrite, answers 200 RecordUpdated;

    /// Delete a medical record.
    delete_record: DeleteRecord = Delete "/api/records/{recordId}" [record_id: RecordId],
        needs RecordsDelete, answers 200 RecordDeleted;

    /// Ask for a record of one's own to be amended: what it should say, and why. The record stays as it is, and shows it from then on.
    request_amendment: RequestAmendment = Post "/api/records/{recordId}/amendments" [record_id: RecordId] (body AmendmentRequest),
        needs AmendmentsRequest, answers 201 AmendmentRequested;

    /// List the amendments of a record, as they were asked for.
    amendments_of_record: AmendmentsOfRecord = Get "/api/records/{recordId}/amendments" [record_id: RecordId],
        needs RecordsRead, answers 200 Page<Amendment>;

    /// List amendments of all records, what is due first: those that wait for an answer, or all.
    list_amendments: ListAmendments = Get "/api/records/amendments" (query AmendmentFilter),
        needs RecordsRead, answers 200 Page<Amendment>;

    /// Accept an amendment, or deny it, with the reason.
    decide_amendment: DecideAmendment = Post "/api/records/{recordId}/amendments/{amendmentId}/decision"
        [record_id: RecordId, amendment_id: AmendmentId] (body DecisionRequest),
        needs AmendmentsDecide, answers 200 AmendmentAnswered;

    /// Say that one does not agree with a denial; it is shown with the record.
    disagree_with_denial: DisagreeWithDenial = Post "/api/records/{recordId}/amendments/{amendmentId}/disagreement"
        [record_id: RecordId, amendment_id: AmendmentId] (body DisagreementRequest),
        needs AmendmentsRequest, answers 200 AmendmentAnswered;

    /// See a patient's records in an emergency without treating them, for a while. It is told to who treats them, and reviewed.
    break_glass: BreakGlass = Post "/api/records/break-glass" (body BreakGlassRequest),
        needs BreakGlassUse, answers 201 GlassBroken;

    /// List who saw records in an emergency, the newest first: what is still to be reviewed, or all.
    list_break_glass: ListBreakGlass = Get "/api/records/break-glass" (query BreakGlassFilter),
        needs BreakGlassReview, answers 200 Page<BrokenGlass>;

    /// Say whether an emergency was one. If not, what it opened is shut.
    review_break_glass: ReviewBreakGlass = Post "/api/records/break-glass/{grantId}/review" [grant_id: GrantId] (body ReviewRequest),
        needs BreakGlassReview, answers 200 GlassReviewed;

    /// Take an event.
    deliver_to_records: DeliverToRecords = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// What this service holds of a patient.
    export_of_records: ExportOfRecords = Get "/internal/export/{patientId}" [patient_id: PatientId] (query ExportSearch),
        needs HoldingsCollect, answers 200 ExportPage;

    /// What this service did with the data of a patient who was deleted.
    erasure_of_records: ErasureOfRecords = Get "/internal/erasure/{patientId}" [patient_id: PatientId],
        needs HoldingsCollect, answers 200 ServiceErasure;

    /// What this service keeps of a patient who was deleted.
    retained_by_records: RetainedByRecords = Get "/internal/retained/{patientId}" [patient_id: PatientId] (query RetainedSearch),
        needs HoldingsCollect, answers 200 RetainedPage;

    /// Take away what has had its time here, or say what would go.
    carry_retention_of_records: CarryRetentionOfRecords = Post "/internal/retention" (body RetentionRequest),
        needs RetentionCarry, answers 200 ServiceRetention;

    /// What this service wrote in the audit.
    audit_of_records: AuditOfRecords = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// What this service's data keys are wrapped under.
    keys_of_records: KeysOfRecords = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_records: VerifyAuditOfRecords = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
}

/// A new medical record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordRequest {
    /// An id of the client's own; left out, the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
    /// Whose.
    pub patient_id: String,
    /// Of which day, `YYYY-MM-DD`, not in the future.
    #[schemars(extend("format" = "date"))]
    pub date: String,
    /// In plain words.
    #[schemars(length(min = 1, max = 2000))]
    pub diagnosis: String,
    /// In plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10000))]
    pub treatment: Option<String>,
    /// In plain words.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub prescriptions: Vec<String>,
}

/// A medical record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MedicalRecord {
    /// The id.
    pub record_id: String,
    /// Whose.
    pub patient_id: String,
    /// Of which day, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub date: String,
    /// In plain words.
    #[schemars(length(min = 1, max = 2000))]
    pub diagnosis: String,
    /// In plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10000))]
    pub treatment: Option<String>,
    /// In plain words.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub prescriptions: Vec<String>,
    /// What the patient asked to have amended, and what came of it; read-only, absent if there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amendments: Vec<Amendment>,
}

/// The answer to a creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordCreated {
    /// The new record's id.
    pub record_id: RecordId,
    /// `Created`.
    pub status: String,
}

/// The answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordUpdated {
    /// The record's id.
    pub record_id: RecordId,
    /// `Updated`.
    pub status: String,
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordDeleted {
    /// `Deleted`.
    pub status: String,
    /// The record's id.
    pub record_id: RecordId,
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordFilter {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Of this day or later, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Of this day or earlier, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
