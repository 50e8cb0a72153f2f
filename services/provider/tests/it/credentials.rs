//! Credentials: recorded, verified, renewed, revoked, asked of the registry; and who is told before they end.

use chrono::TimeDelta;
use db::Db;
use provider::jobs::{ask, remind};
use serde_json::{Value, json};

use super::registry::{FakeRegistry, Mood};
use super::*;

const NPI: &str = r#"{"kind": "npi", "number": "1234567893"}"#;
/// The tests begin on 2026-01-15.
const LICENSE: &str = r#"{"kind": "license", "number": "MD-1234", "state": "NY", "issuedOn": "2020-01-01", "expiresOn": "2026-03-01"}"#;

async fn call(
    stack: &Arc<TestStack>,
    who: impl Into<testkit::stack::Who>,
    method: Method,
    rest: &str,
    body: Option<&str>,
) -> Reply {
    PROVIDERS.call(stack, who, method, &format!("/api/providers/prov001/credentials{rest}"), body).await
}

/// Records one; its id.
async fn record(stack: &Arc<TestStack>, body: &str) -> String {
    let saved = call(stack, Role::Admin, Method::POST, "", Some(body)).await.expect(201);
    let id = saved.json()["credentialId"].as_str().unwrap().to_owned();
    assert_eq!(saved.header("location"), format!("/api/providers/prov001/credentials/{id}"));
    id
}

async fn post(stack: &Arc<TestStack>, id: &str, step: &str, body: &str) -> Reply {
    call(stack, Role::Admin, Method::POST, &format!("/{id}/{step}"), Some(body)).await
}

async fn read(stack: &Arc<TestStack>, id: &str) -> Value {
    call(stack, Role::Admin, Method::GET, &format!("/{id}"), None).await.expect(200).json()
}

/// Why they cannot be booked.
async fn stop(stack: &Arc<TestStack>) -> Value {
    let path = "/internal/schedules/prov001";
    PROVIDERS.call(stack, Role::Service, Method::GET, path, None).await.expect(200).json()["notBookable"]
        .clone()
}

fn actions(credential: &Value) -> Vec<String> {
    let history = credential["history"].as_array().unwrap();
    history.iter().map(|change| change["action"].as_str().unwrap().to_owned()).collect()
}

fn database(stack: &Arc<TestStack>) -> &Db {
    stack.database(ServiceName::ProviderService).db()
}

/// Lets time pass, in the service and where the tests carry out its jobs.
fn pass(stack: &Arc<TestStack>, time: TimeDelta) {
    stack.clock.advance(time);
    stack.database(ServiceName::ProviderService).clock().advance(time);
}

testkit::stack_tests! { services = [provider::SERVICE];
    async fn a_licence_is_recorded_verified_renewed_and_revoked(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let id = record(&stack, LICENSE).await;
        let shown = read(&stack, &id).await;
        assert_eq!((&shown["status"], &shown["expiresOn"], &shown["providerId"]), (&"Unverified".into(), &"2026-03-01".into(), &"prov001".into()));
        let evidence = r#"{"method": "manual", "evidence": "Certificate seen."}"#;
        let verified = post(&stack, &id, "verify", evidence).await.expect(200);
        assert_eq!(verified.text, format!(r#"{{"credentialId":"{id}","providerId":"prov001","status":"Verified"}}"#));
        // The same again changes nothing, and what was verified stays so.
        let same = call(&stack, Role::Admin, Method::PUT, &format!("/{id}"), Some(r#"{"state": "NY"}"#)).await.expect(200);
        assert_eq!((same.json()["status"].as_str(), same.header("etag")), (Some("Verified"), "\"v2\""));
        let renewed = call(&stack, Role::Admin, Method::PUT, &format!("/{id}"), Some(r#"{"expiresOn": "2028-03-01"}"#)).await.expect(200);
        assert_eq!((renewed.json()["status"].as_str(), renewed.header("etag")), (Some("Unverified"), "\"v3\""));
        let rejected = post(&stack, &id, "verify", r#"{"method": "manual", "evidence": "Not theirs.", "result": "Rejected"}"#).await.expect(200);
        assert_eq!(rejected.json()["status"], "Rejected");
        assert_eq!(stop(&stack).await, Value::Null);
        let revoked = post(&stack, &id, "revoke", r#"{"reason": "By the board."}"#).await.expect(200);
        assert_eq!(revoked.json()["status"], "Revoked");
        assert_eq!(stop(&stack).await, "credential-revoked");
        let shown = read(&stack, &id).await;
        assert_eq!(actions(&shown), ["Revoked", "Rejected", "Updated", "Verified", "Created"]);
        assert_eq!((&shown["history"][0]["evidence"], &shown["history"][3]["evidence"]), (&"By the board.".into(), &"Certificate seen.".into()));
        for (step, body) in [("verify", evidence), ("revoke", r#"{"reason": "Again."}"#)] {
            assert_eq!(post(&stack, &id, step, body).await.expect(409).json()["code"], "invalid-transition");
        }
        let _ = call(&stack, Role::Admin, Method::PUT, &format!("/{id}"), Some(r#"{"number": "X"}"#)).await.expect(409);
        let _ = call(&stack, Role::Admin, Method::DELETE, &format!("/{id}"), None).await.expect(200);
        let _ = call(&stack, Role::Admin, Method::GET, &format!("/{id}"), None).await.expect(404);
        assert_eq!(stop(&stack).await, Value::Null);
    }

    async fn a_credential_is_good_for_its_last_day_at_the_providers_place_and_then_stops_bookings(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let _ = PROVIDERS.put(&stack, "prov001", r#"{"timeZone": "Pacific/Auckland"}"#).await.expect(200);
        // 10:00 in Berlin on the 15th is 22:00 in Auckland.
        let id = record(&stack, r#"{"kind": "license", "number": "MD-1234", "expiresOn": "2026-01-15"}"#).await;
        assert_eq!(stop(&stack).await, Value::Null);
        stack.clock.advance(TimeDelta::minutes(119));
        assert_eq!(stop(&stack).await, Value::Null);
        stack.clock.advance(TimeDelta::minutes(1));
        assert_eq!(stop(&stack).await, "credential-expired");
        assert_eq!(read(&stack, &id).await["status"], "Expired");
        assert_eq!(post(&stack, &id, "verify", r#"{"method": "manual", "evidence": "Seen."}"#).await.status, 409);
        let _ = call(&stack, Role::Admin, Method::PUT, &format!("/{id}"), Some(r#"{"expiresOn": null}"#)).await.expect(200);
        assert_eq!(stop(&stack).await, Value::Null);
    }

    async fn nothing_recorded_and_nothing_verified_stops_nobody(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        assert_eq!(stop(&stack).await, Value::Null);
        let _ = record(&stack, LICENSE).await;
        let _ = record(&stack, NPI).await;
        assert_eq!(stop(&stack).await, Value::Null);
    }

    async fn there_is_one_npi_for_each_provider(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let _ = add(&stack, "prov002").await.expect(201);
        let id = record(&stack, NPI).await;
        let second = r#"{"kind": "npi", "number": "1245319599"}"#;
        assert_eq!(call(&stack, Role::Admin, Method::POST, "", Some(second)).await.expect(409).faults(), ["number"]);
        let path = "/api/providers/prov002/credentials";
        assert_eq!(PROVIDERS.call(&stack, Role::Admin, Method::POST, path, Some(NPI)).await.expect(409).faults(), ["number"]);
        let other = PROVIDERS.call(&stack, Role::Admin, Method::POST, path, Some(second)).await.expect(201);
        let other = format!("{path}/{}", other.json()["credentialId"].as_str().unwrap());
        let taken = PROVIDERS.call(&stack, Role::Admin, Method::PUT, &other, Some(r#"{"number": "1234567893"}"#)).await.expect(409);
        assert_eq!(taken.json()["code"], "already-exists");
        let _ = call(&stack, Role::Admin, Method::DELETE, &format!("/{id}"), None).await.expect(200);
        let _ = PROVIDERS.call(&stack, Role::Admin, Method::PUT, &other, Some(r#"{"number": "1234567893"}"#)).await.expect(200);
    }

    async fn each_bad_credential_is_refused_by_name(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        for (body, field) in [
            (r#"{"kind": "npi", "number": "1234567890"}"#, "number"),
            (r#"{"kind": "diploma", "number": "1"}"#, "kind"),
            (r#"{"kind": "license"}"#, "number"),
            (r#"{"kind": "license", "number": " "}"#, "number"),
            (r#"{"kind": "license", "number": "1", "status": "Verified"}"#, "status"),
            (r#"{"kind": "license", "number": "1", "expiresOn": "2026-02-30"}"#, "expiresOn"),
            (r#"{"kind": "license", "number": "1", "issuedOn": "2026-02-03", "expiresOn": "2026-02-02"}"#, "expiresOn"),
        ] {
            assert_eq!(call(&stack, Role::Admin, Method::POST, "", Some(body)).await.expect(422).faults(), [field], "{body}");
        }
        let id = record(&stack, LICENSE).await;
        for (step, body, field) in [
            ("verify", r#"{"method": "manual"}"#, "evidence"), ("verify", r#"{"method": "rumour"}"#, "method"),
            ("verify", r#"{"method": "registry"}"#, "method"), ("revoke", r#"{"reason": ""}"#, "reason"), ("revoke", "{}", "reason"),
        ] {
            assert_eq!(post(&stack, &id, step, body).await.expect(422).faults(), [field], "{body}");
        }
        let patch = r#"{"kind": "npi", "status": "Verified", "providerId": "prov002"}"#;
        let refused = call(&stack, Role::Admin, Method::PUT, &format!("/{id}"), Some(patch)).await.expect(422);
        assert_eq!(refused.faults(), ["providerId", "kind", "status"]);
    }

    async fn who_may_change_providers_sees_all_credentials_and_a_provider_their_own(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let id = record(&stack, LICENSE).await;
        let one = format!("/{id}");
        let own = testkit::stack::Who::clinician("prov001");
        for rest in ["", one.as_str()] {
            let _ = call(&stack, own.clone(), Method::GET, rest, None).await.expect(200);
            for other in [testkit::stack::Who::clinician("prov002"), Role::Receptionist.into(), Role::Patient.into(), Role::Service.into()] {
                let _ = call(&stack, other, Method::GET, rest, None).await.expect(404);
            }
        }
        let _ = call(&stack, own.clone(), Method::POST, "", Some(NPI)).await.expect(403);
        let _ = call(&stack, own, Method::POST, &format!("/{id}/verify"), Some("{}")).await.expect(403);
        let listed = call(&stack, Role::Admin, Method::GET, "", None).await.expect(200).json();
        assert_eq!(listed["items"][0]["credentialId"].as_str(), Some(id.as_str()));
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    }

    async fn a_providers_credentials_go_with_their_profile_and_no_file_holds_them(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let _ = record(&stack, NPI).await;
        let id = record(&stack, LICENSE).await;
        let _ = post(&stack, &id, "verify", r#"{"method": "manual", "evidence": "Certificate seen."}"#).await.expect(200);
        stack.database(ServiceName::ProviderService).no_file_holds(&["1234567893", "MD-1234", "Certificate"]);
        let _ = PROVIDERS.delete(&stack, "prov001").await.expect(200);
        let mut tx = database(&stack).read().await.unwrap();
        let left: i64 = db::on!(tx, |conn| sqlx::query_scalar("select (select count(*) from credential) + (select count(*) from credential_change)")
            .fetch_one(conn).await.unwrap());
        drop(tx);
        assert_eq!(left, 0);
        let _ = add(&stack, "prov002").await.expect(201);
        let path = "/api/providers/prov002/credentials";
        let _ = PROVIDERS.call(&stack, Role::Admin, Method::POST, path, Some(NPI)).await.expect(201);
    }

    async fn a_stale_version_changes_nothing(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let id = record(&stack, LICENSE).await;
        let path = format!("/api/providers/prov001/credentials/{id}");
        for (method, path, body) in [
            (Method::PUT, path.clone(), r#"{"number": "X"}"#), (Method::DELETE, path.clone(), ""),
            (Method::POST, format!("{path}/revoke"), r#"{"reason": "X"}"#),
            (Method::POST, format!("{path}/verify"), r#"{"method": "manual", "evidence": "X"}"#),
        ] {
            let request = stack.request(ServiceName::ProviderService, method, &path).bearer_auth(stack.token(Role::Admin));
            let request = request.header("if-match", "\"v7\"").header("content-type", "application/json");
            let _ = testkit::stack::send(request.body(body)).await.expect(412);
        }
        assert_eq!(read(&stack, &id).await["status"], "Unverified");
    }

    async fn who_is_told_before_the_end_is_told_once_for_each_threshold_by_whichever_replica(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let id = record(&stack, &LICENSE.replace("2026-03-01", "2026-05-01")).await;
        let _ = record(&stack, NPI).await;
        let told = async |days: i64| {
            pass(&stack, TimeDelta::days(days));
            let (db, zone) = (database(&stack), chrono_tz::Europe::Berlin);
            let (one, other) = tokio::join!(remind::all(db, zone), remind::all(db, zone));
            one.unwrap() + other.unwrap()
        };
        // 106 days before; 91; 90; 89; 60; 30; 7; 6; the last day; the day after.
        let mut counts = Vec::new();
        for days in [0, 15, 1, 1, 29, 30, 23, 1, 6, 1] {
            counts.push(Box::pin(told(days)).await);
        }
        assert_eq!(counts, [0, 0, 1, 0, 1, 1, 1, 0, 0, 0]);
        let _ = call(&stack, Role::Admin, Method::PUT, &format!("/{id}"), Some(r#"{"expiresOn": "2026-05-20"}"#)).await.expect(200);
        assert_eq!(Box::pin(told(0)).await, 1);
        let _ = post(&stack, &id, "revoke", r#"{"reason": "By the board."}"#).await.expect(200);
        assert_eq!(Box::pin(told(11)).await, 0);
    }

    async fn what_waits_for_the_registry_is_asked_of_it_until_it_answers(stack: Arc<TestStack>) {
        let (registry, db) = (FakeRegistry::start().await, database(&stack));
        let client = registry.client();
        let _ = add(&stack, "prov001").await.expect(201);
        let (npi, licence) = (record(&stack, NPI).await, record(&stack, LICENSE).await);
        // As a verification leaves them while there is no answer.
        for id in [&npi, &licence] {
            wait_for_answer(db, id).await;
        }
        for mood in [Mood::Errors, Mood::Garbage, Mood::Endless, Mood::Failing, Mood::Redirecting] {
            registry.is(mood);
            for _ in 0..2 {
                assert!(ask::one(db, &client).await.unwrap());
            }
            // Nobody asks again before it is time.
            assert!(!ask::one(db, &client).await.unwrap(), "{mood:?}");
            assert_eq!(read(&stack, &npi).await["status"], "Pending", "{mood:?}");
            pass(&stack, TimeDelta::hours(7));
        }
        registry.is(Mood::Found);
        while ask::one(db, &client).await.unwrap() {}
        for id in [&npi, &licence] {
            let shown = read(&stack, id).await;
            assert_eq!(shown["status"], "Verified");
            assert_eq!(shown["history"][0]["by"], "service:provider-service");
        }
        pass(&stack, TimeDelta::hours(7));
        assert!(!ask::one(db, &client).await.unwrap());
    }

    async fn a_registry_that_knows_better_has_it_rejected(stack: Arc<TestStack>) {
        let (registry, db) = (FakeRegistry::start().await, database(&stack));
        let _ = add(&stack, "prov001").await.expect(201);
        let npi = record(&stack, NPI).await;
        for mood in [Mood::NotFound, Mood::Deactivated] {
            registry.is(mood);
            wait_for_answer(db, &npi).await;
            assert!(ask::one(db, &registry.client()).await.unwrap());
            let shown = read(&stack, &npi).await;
            assert_eq!(shown["status"], "Rejected");
            assert!(shown["history"][0]["evidence"].as_str().unwrap().starts_with("NPI registry: "));
        }
    }

    async fn a_slow_registry_is_not_waited_for(stack: Arc<TestStack>) {
        let registry = FakeRegistry::start().await;
        registry.is(Mood::Slow);
        let _ = add(&stack, "prov001").await.expect(201);
        let npi = record(&stack, NPI).await;
        wait_for_answer(database(&stack), &npi).await;
        let started = std::time::Instant::now();
        assert!(ask::one(database(&stack), &registry.client()).await.unwrap());
        assert!(started.elapsed() < std::time::Duration::from_secs(15));
        assert_eq!(read(&stack, &npi).await["status"], "Pending");
    }
}

/// Leaves a credential as a question that had no answer leaves it.
async fn wait_for_answer(db: &Db, id: &str) {
    let mut tx = db.begin().await.unwrap();
    let now = tx.now();
    let (provider, id) = ("prov001".parse().unwrap(), id.parse().unwrap());
    let kept =
        provider::store::credential::credential_find(&mut tx, db, (&provider, &id)).await.unwrap().unwrap();
    let action = provider::domain::credential::Action::Asked;
    let after = kept.credential.after(action, now.date_naive()).unwrap();
    let entry = provider::domain::credential::Entry {
        by: "usr_1".to_owned(),
        action,
        stands: after.stands,
        evidence: None,
    };
    provider::store::credential::credential_update(&mut tx, db, (&kept, &after), Some(now), &entry)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn with_dead_registry(settings: &mut settings::ServiceSettings) {
    // Nothing listens there.
    settings.integrations.npi_registry =
        Some(settings::NpiRegistrySettings { url: "http://127.0.0.1:1/api/".to_owned() });
}

testkit::stack_tests! { services = [provider::SERVICE], settings = with_dead_registry;
    async fn while_the_registry_is_away_a_verification_is_pending_and_nobody_is_refused(stack: Arc<TestStack>) {
        let _ = add(&stack, "prov001").await.expect(201);
        let licence = record(&stack, LICENSE).await;
        let ask = r#"{"method": "registry"}"#;
        assert_eq!(post(&stack, &licence, "verify", ask).await.expect(422).faults(), ["method"]);
        let npi = record(&stack, NPI).await;
        for id in [&npi, &licence] {
            assert_eq!(post(&stack, id, "verify", ask).await.expect(200).json()["status"], "Pending");
        }
        assert_eq!(actions(&read(&stack, &npi).await), ["Asked", "Created"]);
        assert_eq!(stop(&stack).await, Value::Null);
        // Somebody who looks themselves need not wait.
        let seen = json!({"method": "manual", "evidence": "Looked up by phone."}).to_string();
        assert_eq!(post(&stack, &npi, "verify", &seen).await.expect(200).json()["status"], "Verified");
        let dea = record(&stack, r#"{"kind": "dea", "number": "AB1234563"}"#).await;
        assert_eq!(post(&stack, &dea, "verify", ask).await.expect(422).faults(), ["method"]);
    }
}
