//! The billing service's API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::erasure::ServiceErasure;
use crate::event::{Accepted, Event};
use crate::export::{ExportPage, ExportSearch};
use crate::id::{BillId, PatientId};
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::money::Amount;
use crate::page::Page;
use crate::retention::{RetainedPage, RetainedSearch, RetentionRequest, ServiceRetention};

api! {
    service BillingService, tag "Bills", client BillsClient;

    /// Create a new bill.
    create_bill: CreateBill = Post "/api/bills" (body BillRequest),
        needs BillsWrite, answers 201 BillCreated;

    /// List bills by patient and status.
    list_bills: ListBills = Get "/api/bills" (query BillFilter),
        needs BillsRead, answers 200 Page<Bill>;

    /// Retrieve a bill by ID.
    bill_by_id: BillById = Get "/api/bills/{billId}" [bill_id: BillId],
        needs BillsRead, answers 200 Bill;

    /// Update a bill.
    update_bill: UpdateBill = Put "/api/bills/{billId}" [bill_id: BillId] (body MergePatch<Bill>),
        needs BillsWrite, answers 200 BillUpdated;

    /// Delete a bill: a draft goes, an issued one is kept as void.
    delete_bill: DeleteBill = Delete "/api/bills/{billId}" [bill_id: BillId],
        needs BillsWrite, answers 200 BillDeleted;

    /// Take an event.
    deliver_to_billing: DeliverToBilling = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// What this service holds of a patient.
    export_of_billing: ExportOfBilling = Get "/internal/export/{patientId}" [patient_id: PatientId] (query ExportSearch),
        needs HoldingsCollect, answers 200 ExportPage;

    /// What this service did with the data of a patient who was deleted.
    erasure_of_billing: ErasureOfBilling = Get "/internal/erasure/{patientId}" [patient_id: PatientId],
        needs HoldingsCollect, answers 200 ServiceErasure;

    /// What this service keeps of a patient who was deleted.
    retained_by_billing: RetainedByBilling = Get "/internal/retained/{patientId}" [patient_id: PatientId] (query RetainedSearch),
        needs HoldingsCollect, answers 200 RetainedPage;

    /// Take away what has had its time here, or say what would go.
    carry_retention_of_billing: CarryRetentionOfBilling = Post "/internal/retention" (body RetentionRequest),
        needs RetentionCarry, answers 200 ServiceRetention;

    /// What this service wrote in the audit.
    audit_of_billing: AuditOfBilling = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// What this service's data keys are wrapped under.
    keys_of_bills: KeysOfBills = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_billing: VerifyAuditOfBilling = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
}

/// Where a bill stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BillStatus {
    /// Being written: may still change in every way, or be deleted.
    Draft,
    /// Sent.
    Issued,
    /// Settled.
    Paid,
    /// Taken back; kept, as the books require.
    Void,
}

impl BillStatus {
    /// All of them, in the order of a bill's life.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Issued, Self::Paid, Self::Void];

    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::Issued => "Issued",
            Self::Paid => "Paid",
            Self::Void => "Void",
        }
    }
}

impl std::fmt::Display for BillStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A service charged for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLine {
    /// The service's id in the clinic's catalogue.
    #[schemars(length(min = 1, max = 64))]
    pub service_id: String,
    /// In plain words.
    #[schemars(length(min = 1, max = 500))]
    pub description: String,
    /// Its price, zero or more.
    pub amount: Amount,
}

/// What an insurer is asked to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InsuranceClaim {
    /// The insurer.
    #[schemars(length(min = 1, max = 200))]
    pub insurance_provider: String,
    /// How much, at most the bill's total.
    pub claim_amount: Amount,
}

/// A new bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillRequest {
    /// An id of the client's own; left out, the server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bill_id: Option<String>,
    /// Whose.
    pub patient_id: String,
    /// What for: 1 to 500 lines.
    #[schemars(length(min = 1, max = 500))]
    pub services: Vec<ServiceLine>,
    /// What an insurer is asked to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insurance_claim: Option<InsuranceClaim>,
    /// The sum of the lines.
    pub total_amount: Amount,
    /// `Draft` or `Issued` (if not given).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<BillStatus>,
}

/// A bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bill {
    /// The id.
    pub bill_id: String,
    /// Whose.
    pub patient_id: String,
    /// What for.
    #[schemars(length(min = 1, max = 500))]
    pub services: Vec<ServiceLine>,
    /// What an insurer is asked to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insurance_claim: Option<InsuranceClaim>,
    /// The sum of the lines.
    pub total_amount: Amount,
    /// ISO 4217; the stack's; read-only.
    pub currency: String,
    /// Where it stands.
    pub status: BillStatus,
    /// Its patient was erased, and the law keeps the bill: only those who keep the books see it. Left out if false; read-only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restricted: bool,
}

/// The answer to a creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillCreated {
    /// The new bill's id.
    pub bill_id: BillId,
    /// `Created`.
    pub status: String,
}

/// The answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillUpdated {
    /// The bill's id.
    pub bill_id: BillId,
    /// `Updated`.
    pub status: String,
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillDeleted {
    /// `Deleted`.
    pub status: String,
    /// The bill's id.
    pub bill_id: BillId,
}

/// Which bills.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillFilter {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Where they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<BillStatus>,
    /// At most so many, 1 to 200; 50 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
