//! What must hold of all operations together.

use std::collections::HashSet;

use contracts::endpoint::Access;
use contracts::operations;
use settings::Method;

/// Whatever anybody may call without signing in. A new one must be added here, on purpose.
const PUBLIC: [&str; 21] = [
    "login",
    "identity_providers",
    "start_oidc",
    "finish_oidc",
    "finish_oidc_with_code",
    "refresh",
    "logout",
    "revoke_token",
    "jwks",
    // Calendar programs do not sign in: the address is the secret.
    "feed_calendar",
    // SMS providers sign each call.
    "sms_status",
    "sms_inbound",
    // The clinic's mail server brings its token.
    "mail_report",
    // Google brings the token of its channel.
    "outside_calendar_changed",
    // Whoever was written to has the link: it is signed.
    "follow_link",
    "unsubscribe_page",
    "unsubscribe",
    "confirm_page",
    "confirm_by_link",
    "cancel_page",
    "cancel_by_link",
];

/// What says all by its path. Whatever is posted to the links of messages (mail programs post forms of two kinds) is not read.
const SAID_BY_PATH: [&str; 6] = [
    "outside_calendar_changed",
    "accept_offer",
    "decline_offer",
    "unsubscribe",
    "confirm_by_link",
    "cancel_by_link",
];

/// What everybody may do who is signed in: see to what is their own, and ask whether the gateway is well.
const SIGNED_IN: [&str; 10] = [
    "me",
    "change_password",
    "remove_second_factor",
    "list_sessions",
    "revoke_session",
    "revoke_sessions",
    "gateway_status",
    "register_device",
    "list_devices",
    "remove_device",
];

/// What whoever is asked for a second factor may do before they have one, and nothing else.
const ENROLLING: [&str; 3] = ["second_factor", "offer_second_factor", "confirm_second_factor"];

/// Whatever leaves no entry in the audit: it shows nobody's data and changes nobody's rights. A new one must be added here, on purpose.
const UNAUDITED: [&str; 24] = [
    "identity_providers",
    "start_oidc",
    "provider_slots",
    "next_slots",
    "availability_events",
    "list_outside_calendars",
    "outside_calendar_changed",
    // Counts, of nobody in particular.
    "notification_statistics",
    "list_roles",
    "jwks",
    "revocations",
    "gateway_status",
    "list_providers",
    "provider_by_id",
    "list_time_off",
    // What the appointment service asks to book.
    "schedule_of_provider",
    "schedules_of_providers",
    // What auth asks for a call that it audits itself.
    "keys_of_patients",
    "keys_of_appointments",
    "keys_of_bills",
    "keys_of_records",
    "keys_of_notifications",
    "keys_of_providers",
    "keys_of_auth",
];

#[test]
fn every_operation_is_audited_but_for_a_few_on_purpose() {
    for operation in operations() {
        assert_ne!(operation.audited, UNAUDITED.contains(&operation.id), "{}", operation.id);
    }
}

/// The audit finds a patient by this name, in whatever shape they stand.
#[test]
fn a_patients_id_is_called_the_same_everywhere() {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    for operation in operations() {
        for schema in [operation.query, operation.body, Some(operation.reply)].into_iter().flatten() {
            let _ = schema(&mut generator);
        }
        for name in operation.path.split('/').filter(|name| name.to_lowercase().contains("patient")) {
            assert!(["patients", "{patientId}"].contains(&name), "{}", operation.path);
        }
    }
    let mut named = 0;
    for schema in generator.definitions().values() {
        let members = schema.get("properties").and_then(|members| members.as_object());
        for name in members.into_iter().flatten().map(|(name, _)| name) {
            let is_patient = name.to_lowercase().contains("patient");
            // Who called it off, as a count.
            let is_count = name == "cancelledByPatient";
            assert!(!is_patient || name == "patientId" || is_count, "{name}");
            named += u32::from(is_patient && !is_count);
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
fn every_route_declares_a_permission_or_is_public_on_purpose() {
    for operation in operations() {
        match operation.access {
            Access::Public => assert!(PUBLIC.contains(&operation.id), "{} is public", operation.id),
            Access::SignedIn => {
                assert!(SIGNED_IN.contains(&operation.id), "{} asks for no permission", operation.id);
            }
            Access::Enrolling => {
                assert!(ENROLLING.contains(&operation.id), "{} is open to who only enrols", operation.id);
            }
            Access::Needs(permission) => {
                assert_eq!(operation.is_internal(), permission.is_internal(), "{}", operation.id);
            }
        }
    }
}

#[test]
fn names_and_public_routes_are_unique() {
    let mut names = HashSet::new();
    let mut routes = HashSet::new();
    for operation in operations() {
        assert!(names.insert(operation.id), "{} stands there twice", operation.id);
        // Internal routes are each service's own.
        let owner = operation.is_internal().then_some(operation.service).flatten();
        assert!(
            routes.insert((owner, operation.method, operation.path)),
            "{} {}",
            operation.method.as_str(),
            operation.path
        );
    }
}

#[test]
fn paths_bodies_and_answers_are_of_one_form() {
    for operation in operations() {
        let public =
            ["/api/", "/internal/", "/.well-known/"].iter().any(|start| operation.path.starts_with(start));
        assert!(public && !operation.path.ends_with('/'), "{}", operation.path);
        assert!(!operation.summary.is_empty() && operation.summary.ends_with(['.', 's']), "{}", operation.id);
        let has_body = matches!(operation.method, Method::Post | Method::Put | Method::Patch);
        // All is said by the path.
        let has_body = has_body && !SAID_BY_PATH.contains(&operation.id);
        assert_eq!(operation.body.is_some(), has_body, "{}", operation.id);
        // Whoever follows a link is led on.
        let is_usual = matches!(operation.status, 200 | 201) || operation.id == "follow_link";
        assert!(is_usual, "{}", operation.id);
        for segment in operation.path.split('/').filter(|segment| segment.starts_with('{')) {
            assert!(segment.ends_with("Id}"), "{}", operation.path);
        }
    }
}

#[test]
fn words_in_routes_are_no_ids() {
    for operation in operations() {
        let segments: Vec<_> = operation.path.split('/').collect();
        for window in segments.windows(2) {
            // A fixed word where another route has an id could be taken for one.
            let collides = operations().any(|other| {
                let others: Vec<_> = other.path.split('/').collect();
                others.len() >= segments.len()
                    && segments.iter().zip(&others).any(|(a, b)| *a == window[1] && b.starts_with('{'))
                    && segments
                        .iter()
                        .zip(&others)
                        .all(|(a, b)| a == b || b.starts_with('{') || a.starts_with('{'))
            });
            if collides && !window[1].starts_with('{') {
                assert!(
                    contracts::id::check(window[1]).is_err(),
                    "{} would be an id in {}",
                    window[1],
                    operation.path
                );
            }
        }
    }
}

#[test]
fn schemas_are_made_for_every_operation() {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    for operation in operations() {
        for schema in [operation.query, operation.body, Some(operation.reply)].into_iter().flatten() {
            let _ = schema(&mut generator);
        }
    }
    assert!(generator.definitions().len() > 40);
}
