//! Which operations go first when a service has more to do than it can.
//!
//! Priorities are among the operations of one service, since each service has a limit of its own. Who stands at a patient's bed and reads comes
//! first, and what that person writes down there next; then what somebody waits for at a desk; and last what can be done in an hour as
//! well: bills, messages, directories, erasing. Signing in is not with the first: it is open to everybody, and dear. Staying signed in is.

use contracts::endpoint::Operation;
use settings::{Method, Priority, ServiceName};

/// What asks when somebody can be booked: it waits behind who is where today.
const OF_SLOTS: [&str; 3] = ["provider_slots", "next_slots", "availability_events"];

/// What counts appointments.
const REPORTS: [&str; 3] = ["appointment_statistics", "provider_report", "provider_reports"];

/// An operation's priority.
pub(super) fn priority(operation: &Operation, service: ServiceName) -> Priority {
    let is_one = operation.path.contains('{');
    match (service, operation.method) {
        // A job does it within the hour anyhow.
        _ if operation.id == "run_retention" => Priority::Low,
        // A chart is a list of records.
        (ServiceName::MedicalRecordsService, Method::Get) => Priority::Critical,
        (ServiceName::PatientService, Method::Get) if is_one => Priority::Critical,
        // What was erased an hour later was erased.
        (ServiceName::MedicalRecordsService | ServiceName::PatientService, Method::Delete) => Priority::Low,
        // To write down what was done, to take somebody in, and to find them.
        (ServiceName::MedicalRecordsService | ServiceName::PatientService, _) => Priority::High,
        // A program that is told to wait asks again within the hour, and anybody may ask.
        (ServiceName::AppointmentService, Method::Get) if operation.id == "feed_calendar" => Priority::Low,
        // A report that comes later says the same.
        (ServiceName::AppointmentService, Method::Get) if REPORTS.contains(&operation.id) => Priority::Low,
        // Who is where when; a day's list is what a ward works by.
        (ServiceName::AppointmentService, Method::Get) if !OF_SLOTS.contains(&operation.id) => Priority::High,
        (ServiceName::BillingService, Method::Get) if is_one => Priority::Normal,
        (ServiceName::AppointmentService, _) | (ServiceName::ProviderService, Method::Get) => {
            Priority::Normal
        }
        (
            ServiceName::ProviderService | ServiceName::BillingService | ServiceName::NotificationService,
            _,
        ) => Priority::Low,
        (ServiceName::AuthService, method) => sign_in(operation, method),
    }
}

fn sign_in(operation: &Operation, method: Method) -> Priority {
    match operation.id {
        // Without these, whoever is at work is put out of it.
        "refresh" | "jwks" => Priority::Critical,
        "login" | "logout" | "revoke_token" | "me" => Priority::High,
        // To lock somebody out must not wait behind lists of users.
        _ if matches!(method, Method::Put | Method::Delete) => Priority::Normal,
        _ => Priority::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: &str) -> Priority {
        let operation = contracts::operations().find(|operation| operation.id == id).unwrap();
        priority(operation, operation.service.unwrap())
    }

    #[test]
    fn reading_at_a_bed_goes_before_all_else_there_is() {
        for id in ["get_record_by_id", "list_records", "patient_by_id"] {
            assert_eq!(of(id), Priority::Critical, "{id}");
        }
        let writes = contracts::operations().filter(|operation| operation.method != Method::Get);
        let first = writes.filter(|operation| operation.service.is_some() && !operation.is_internal());
        for operation in first.filter(|operation| operation.id != "refresh") {
            assert!(of(operation.id) < Priority::Critical, "{}", operation.id);
        }
    }

    #[test]
    fn what_was_done_is_written_down_before_anything_is_tidied_up() {
        for id in ["create_record", "update_record", "register_patient", "update_patient"] {
            assert_eq!(of(id), Priority::High, "{id}");
        }
        for id in ["delete_record", "delete_patient"] {
            assert_eq!(of(id), Priority::Low, "{id}");
        }
    }

    #[test]
    fn bills_messages_and_lists_of_users_wait() {
        for id in
            ["create_bill", "list_bills", "send_email", "list_notifications", "list_users", "create_user"]
        {
            assert_eq!(of(id), Priority::Low, "{id}");
        }
    }

    #[test]
    fn calendar_programs_wait_for_people() {
        assert_eq!(of("feed_calendar"), Priority::Low);
        assert!(of("list_appointments") > of("feed_calendar"));
    }

    #[test]
    fn who_is_at_work_stays_signed_in_before_others_come_in() {
        assert!(of("refresh") > of("login"));
        assert!(of("update_user") > of("list_users"));
    }
}
