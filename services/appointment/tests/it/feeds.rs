//! Calendar feeds: made, listed and revoked by whom they are for; read by whoever has the address, and by nobody else.

use contracts::feeds::FEEDS_MAX;
use db::{AuditFilter, AuditOutcome, FoundEntry, audit_find};
use testkit::contents::held;
use testkit::patients::{deny, erase, share_again};
use testkit::stack::send;

use super::care::said;
use super::*;

pub(crate) const FEEDS: &str = "/api/appointments/feeds";

pub(crate) fn of_patient(id: &str) -> Value {
    json!({"patientId": id})
}

pub(crate) fn of_provider(id: &str) -> Value {
    json!({"providerId": id})
}

pub(crate) async fn make(stack: &Arc<TestStack>, who: impl Into<Who>, body: &Value) -> Reply {
    call(stack, who, Method::POST, FEEDS, Some(&body.to_string())).await
}

/// Makes a feed; its address.
pub(crate) async fn feed(stack: &Arc<TestStack>, who: impl Into<Who>, body: &Value) -> String {
    make(stack, who, body).await.expect(201).json()["url"].as_str().unwrap().to_owned()
}

/// Reads an address, as calendar programs do: without a token.
pub(crate) async fn read(stack: &Arc<TestStack>, url: &str) -> Reply {
    send(stack.request(ServiceName::AppointmentService, Method::GET, url)).await
}

/// The id in an address.
fn id_in(url: &str) -> &str {
    url.split('/').nth(4).unwrap()
}

async fn revoke(stack: &Arc<TestStack>, who: impl Into<Who>, id: &str) -> Reply {
    call(stack, who, Method::DELETE, &format!("{FEEDS}/{id}"), None).await
}

/// The ids of the feeds that somebody is shown.
async fn listed(stack: &Arc<TestStack>, who: impl Into<Who>, query: &str) -> Vec<String> {
    let list = call(stack, who, Method::GET, &format!("{FEEDS}{query}"), None).await.expect(200).json();
    let items = list["items"].as_array().cloned().unwrap();
    items.iter().map(|item| item["feedId"].as_str().unwrap().to_owned()).collect()
}

async fn until_read(stack: &Arc<TestStack>, url: &str, status: u16) {
    until(|| async { read(stack, url).await.status == status }).await;
}

async fn entries_of(stack: &Arc<TestStack>, operation: &str) -> Vec<FoundEntry> {
    let filter = AuditFilter { operation: Some(operation.to_owned()), limit: 100, ..AuditFilter::default() };
    audit_find(stack.database(ServiceName::AppointmentService).db(), &filter).await.unwrap()
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn a_feed_is_made_read_listed_and_revoked(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let john = || Who::patient("12345");
        let mut visit = at("apt-visible", "12345", "prov001", "10:00");
        visit["reason"] = json!("Knee pain");
        let _ = book(&stack, john(), &visit).await.expect(201);
        let mut body = of_patient("12345");
        body["label"] = json!("My phone");
        let made = make(&stack, john(), &body).await.expect(201);
        assert_eq!(made.header("cache-control"), "no-store");
        let made = made.json();
        let (id, url) = (made["feedId"].as_str().unwrap(), made["url"].as_str().unwrap());
        assert!(url.starts_with(&format!("{FEEDS}/{id}/")) && url.strip_suffix(".ics").is_some(), "{url}");
        assert_eq!(made["createdAt"], "2026-01-15T09:00:00.000Z");

        let calendar = read(&stack, url).await.expect(200);
        assert_eq!(calendar.header("content-type"), "text/calendar; charset=utf-8");
        assert_eq!(calendar.header("cache-control"), "private, no-cache");
        for line in ["BEGIN:VEVENT", "SUMMARY:Appointment", "CLASS:PRIVATE", "DTSTART:20260119T090000Z", "DTEND:20260119T093000Z", "STATUS:CONFIRMED"] {
            assert!(calendar.text.contains(&format!("\r\n{line}\r\n")), "{line}: {}", calendar.text);
        }
        for word in ["12345", "prov001", "apt-visible", "Knee", "John", "Jane", "Cardiology"] {
            assert!(!calendar.text.contains(word), "{word}: {}", calendar.text);
        }

        let list = call(&stack, john(), Method::GET, &format!("{FEEDS}?patientId=12345"), None).await.expect(200);
        let secret = url.rsplit('/').next().unwrap().trim_end_matches(".ics");
        assert!(!list.text.contains(secret), "{}", list.text);
        assert_eq!(list.json()["items"], json!([{
            "feedId": id, "patientId": "12345", "label": "My phone", "createdAt": "2026-01-15T09:00:00.000Z", "createdBy": "usr_patient",
        }]));

        let _ = revoke(&stack, john(), id).await.expect(200);
        let _ = read(&stack, url).await.expect(404);
        assert!(listed(&stack, john(), "").await.is_empty());
        let _ = revoke(&stack, john(), id).await.expect(404);
    }

    async fn what_is_not_the_whole_address_of_a_feed_that_there_is_is_nothing(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let (url, other) = (feed(&stack, Role::Admin, &of_patient("12345")).await, feed(&stack, Role::Admin, &of_provider("prov001")).await);
        let gone = feed(&stack, Role::Admin, &of_patient("12345")).await;
        let _ = revoke(&stack, Role::Admin, id_in(&gone)).await.expect(200);
        let file = |url: &str| url.rsplit('/').next().unwrap().to_owned();
        let id = id_in(&url);
        let turned: String = file(&url).chars().enumerate().map(|(at, char)| match (at, char) { (0, 'a') => 'b', (0, _) => 'a', _ => char }).collect();
        let (refused, unknown) = (read(&stack, &gone).await.expect(404), format!("{FEEDS}/feed_unknown/{}", file(&url)));
        assert_eq!(refused.json()["code"], "not-found");
        for wrong in [
            unknown, format!("{FEEDS}/{id}/{}", file(&other)), format!("{FEEDS}/{id}/{}", file(&gone)), format!("{FEEDS}/{id}/{turned}"),
            format!("{FEEDS}/{id}/{}", file(&url).to_uppercase()), url.replace(".ics", ""), url.replace(".ics", ".xml"), format!("{FEEDS}/{id}/.ics"),
            format!("{FEEDS}/{id}/{}.ics", "a".repeat(32)),
        ] {
            assert_eq!(said(&read(&stack, &wrong).await.expect(404)), said(&refused), "{wrong}");
        }
        // A token makes no difference, be it whose it may.
        let _ = call(&stack, Role::Admin, Method::GET, &format!("{FEEDS}/{id}/{turned}"), None).await.expect(404);
        for good in [&url, &other] {
            let _ = read(&stack, good).await.expect(200);
        }
    }

    async fn feeds_are_for_whom_they_are_of_and_for_the_front_desk(stack: Arc<TestStack>) {
        clinic(&stack).await;
        patient(&stack, "67890").await;
        provider(&stack, "prov002").await;
        let (john, doctor) = (|| Who::patient("12345"), || Who::clinician("prov001"));
        let mine = feed(&stack, john(), &of_patient("12345")).await;
        let theirs = feed(&stack, doctor(), &of_provider("prov001")).await;
        for role in [Role::Admin, Role::Receptionist] {
            for body in [of_patient("67890"), of_provider("prov002")] {
                let _ = feed(&stack, role, &body).await;
            }
        }
        // Another patient looks like none.
        let others = make(&stack, john(), &of_patient("67890")).await.expect(422);
        let nobodys = make(&stack, john(), &of_patient("nobody")).await.expect(422);
        assert_eq!((others.faults(), said(&others)), (vec!["patientId".to_owned()], said(&nobodys)));
        for (who, body) in [
            (john(), of_provider("prov001")), (doctor(), of_patient("12345")), (doctor(), of_patient("nobody")), (doctor(), of_provider("prov002")),
            (Role::Billing.into(), of_patient("12345")), (Role::PrivacyOfficer.into(), of_patient("12345")), (Role::Service.into(), of_patient("12345")),
        ] {
            let _ = make(&stack, who, &body).await.expect(403);
        }
        assert_eq!(listed(&stack, john(), "").await, [id_in(&mine)]);
        assert_eq!(listed(&stack, doctor(), "").await, [id_in(&theirs)]);
        for (who, query) in [(john(), "?patientId=67890"), (john(), "?providerId=prov001"), (doctor(), "?patientId=12345"), (doctor(), "?providerId=prov002")] {
            assert!(listed(&stack, who, query).await.is_empty(), "{query}");
        }
        assert_eq!(listed(&stack, Role::Receptionist, "?patientId=12345").await, [id_in(&mine)]);
        for (who, id) in [(Who::patient("67890"), &mine), (Who::clinician("prov002"), &theirs), (doctor(), &mine), (john(), &theirs)] {
            let _ = revoke(&stack, who, id_in(id)).await.expect(404);
        }
        let _ = revoke(&stack, Role::Billing, id_in(&mine)).await.expect(403);
        let request = stack.request(ServiceName::AppointmentService, Method::DELETE, &format!("{FEEDS}/{}", id_in(&mine)));
        let _ = send(request.bearer_auth(stack.token(john())).header("if-match", "\"v2\"")).await.expect(412);
        for (who, url) in [(Role::Receptionist.into(), &mine), (doctor(), &theirs)] {
            let _ = read(&stack, url).await.expect(200);
            let _ = revoke(&stack, who, id_in(url)).await.expect(200);
            let _ = read(&stack, url).await.expect(404);
        }
    }

    async fn what_is_wrong_with_a_feed_that_is_asked_for_is_said(stack: Arc<TestStack>) {
        clinic(&stack).await;
        for (body, faults) in [
            (json!({}), vec!["patientId"]), (json!({"patientId": "12345", "providerId": "prov001"}), vec!["providerId"]),
            (of_patient("a b"), vec!["patientId"]), (of_patient("nobody"), vec!["patientId"]), (of_provider("nobody"), vec!["providerId"]),
            (json!({"patientId": "12345", "label": "two\nlines"}), vec!["label"]), (json!({"providerId": "prov001", "label": ""}), vec!["label"]),
            (json!({"patientId": "12345", "label": "a".repeat(101)}), vec!["label"]), (json!({"patientId": "12345", "url": "x"}), vec!["url"]),
        ] {
            assert_eq!(make(&stack, Role::Admin, &body).await.expect(422).faults(), faults, "{body}");
        }
        for query in ["", "?patientId=a%20b", "?patientId=12345&providerId=prov001", "?feedId=1"] {
            let _ = call(&stack, Role::Admin, Method::GET, &format!("{FEEDS}{query}"), None).await.expect(400);
        }
        assert!(listed(&stack, Role::Admin, "?patientId=12345").await.is_empty());
    }

    async fn of_nobody_are_more_feeds_than_can_be_looked_through(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let mut urls = Vec::new();
        for _ in 0..FEEDS_MAX {
            urls.push(feed(&stack, Role::Admin, &of_patient("12345")).await);
        }
        let refused = make(&stack, Role::Admin, &of_patient("12345")).await.expect(409);
        assert_eq!(refused.json()["code"], "invalid-transition");
        let _ = feed(&stack, Role::Admin, &of_provider("prov001")).await;
        let _ = revoke(&stack, Role::Admin, id_in(&urls[0])).await.expect(200);
        let _ = feed(&stack, Role::Admin, &of_patient("12345")).await;
    }

    async fn the_secret_is_kept_nowhere_and_what_a_feed_is_called_is_sealed(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let body = json!({"patientId": "12345", "label": "Quetzalcoatl"}).to_string();
        let request = stack.request(ServiceName::AppointmentService, Method::POST, FEEDS).bearer_auth(stack.token(Role::Admin));
        let request = request.header("idempotency-key", "once").header("content-type", "application/json").body(body);
        let made = send(request).await.expect(201).json();
        let (id, url) = (made["feedId"].as_str().unwrap(), made["url"].as_str().unwrap());
        let _ = read(&stack, url).await.expect(200);
        let secret = url.rsplit('/').next().unwrap().trim_end_matches(".ics");
        let mut is_looked_through = false;
        for (place, content) in stack.database(ServiceName::AppointmentService).contents() {
            assert_eq!(held(&content, &[secret, "quetzalcoatl"]), Vec::<&str>::new(), "{place}");
            is_looked_through |= !held(&content, &[id]).is_empty();
        }
        assert!(is_looked_through);
    }

    async fn an_erased_patients_feeds_are_gone_and_so_is_what_others_had_of_them(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let (mine, theirs) = (feed(&stack, Who::patient("12345"), &of_patient("12345")).await, feed(&stack, Role::Admin, &of_provider("prov001")).await);
        assert!(read(&stack, &theirs).await.expect(200).text.contains("BEGIN:VEVENT"));
        erase(&stack, "12345", ServiceName::AppointmentService).await;
        let _ = read(&stack, &mine).await.expect(404);
        assert!(!read(&stack, &theirs).await.expect(200).text.contains("BEGIN:VEVENT"));
        assert!(listed(&stack, Role::Admin, "?patientId=12345").await.is_empty());
        let report = call(&stack, Role::Service, Method::GET, "/internal/erasure/12345", None).await.expect(200).json();
        assert!(report["shredded"].as_array().unwrap().contains(&json!({"kind": "feeds", "count": 1})), "{report}");
        let refused = make(&stack, Role::Admin, &of_patient("12345")).await.expect(422);
        assert_eq!(refused.faults(), ["patientId"]);
    }

    async fn a_removed_providers_feeds_are_gone_and_their_patients_see_that_it_is_open(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let (mine, theirs) = (feed(&stack, Who::patient("12345"), &of_patient("12345")).await, feed(&stack, Role::Admin, &of_provider("prov001")).await);
        let _ = stack.call(ServiceName::ProviderService, Role::Admin, Method::DELETE, "/api/providers/prov001", None).await.expect(200);
        until_read(&stack, &theirs, 404).await;
        assert!(read(&stack, &mine).await.expect(200).text.contains("STATUS:TENTATIVE"));
        assert_eq!(make(&stack, Role::Admin, &of_provider("prov001")).await.expect(422).faults(), ["providerId"]);
    }

    async fn what_a_patient_keeps_from_somebody_no_feed_shows_that_they_made(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let (desk, mine) = (feed(&stack, Role::Receptionist, &of_patient("12345")).await, feed(&stack, Who::patient("12345"), &of_patient("12345")).await);
        let (admins, theirs) = (feed(&stack, Role::Admin, &of_patient("12345")).await, feed(&stack, Role::Receptionist, &of_provider("prov001")).await);
        let consent = deny(&stack, "12345", r#"{"role": "receptionist"}"#, r#"["appointments"]"#).await;
        until_read(&stack, &desk, 404).await;
        // The patient has theirs, an administrator is not restricted, and whose it is does not show in a provider's.
        for url in [&mine, &admins, &theirs] {
            assert!(read(&stack, url).await.expect(200).text.contains("BEGIN:VEVENT"));
        }
        assert_eq!(make(&stack, Role::Receptionist, &of_patient("12345")).await.expect(422).faults(), ["patientId"]);
        assert!(listed(&stack, Role::Receptionist, "?patientId=12345").await.is_empty());
        let _ = revoke(&stack, Role::Receptionist, id_in(&desk)).await.expect(404);
        share_again(&stack, "12345", &consent).await;
        until_read(&stack, &desk, 200).await;
        let _ = revoke(&stack, Role::Receptionist, id_in(&desk)).await.expect(200);
    }

    async fn the_audit_has_each_reading_by_which_feed_it_was(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let (mine, theirs) = (feed(&stack, Who::patient("12345"), &of_patient("12345")).await, feed(&stack, Role::Admin, &of_provider("prov001")).await);
        for url in [&mine, &theirs] {
            let _ = read(&stack, url).await.expect(200);
            stack.clock.advance(chrono::TimeDelta::milliseconds(1));
        }
        let _ = read(&stack, &format!("{FEEDS}/{}/{}.ics", id_in(&mine), "a".repeat(32))).await.expect(404);
        let told: Vec<_> = entries_of(&stack, "feed_calendar").await.into_iter().map(|found| {
            (found.entry.who, found.entry.patients, found.entry.outcome)
        }).collect();
        assert_eq!(told, [
            (String::new(), vec![], AuditOutcome::Refused),
            (format!("feed:{}", id_in(&theirs)), vec![], AuditOutcome::Done),
            (format!("feed:{}", id_in(&mine)), vec!["12345".to_owned()], AuditOutcome::Done),
        ]);
        // By what was written when they were made, it is known whose they are.
        let mut made: Vec<_> = entries_of(&stack, "create_feed").await.into_iter().map(|found| (found.entry.reason.unwrap(), found.entry.patients)).collect();
        made.sort();
        let mut expected = [
            (format!("feed:{}", id_in(&mine)), vec!["12345".to_owned()]), (format!("feed:{} of provider prov001", id_in(&theirs)), vec![]),
        ];
        expected.sort();
        assert_eq!(made, expected);
    }
}
