//! What is moved outside is judged by hours that are others, or none, by the time it is written here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use contracts::id::ProviderId;
use contracts::problem::{Problem, ProblemCode};
use db::Engine;
use settings::{Address, Peer, ServiceSettings};
use testkit::fake::{Fake, Say};
use testkit::smtp::free_port;

use super::outside::look;
use super::outside_google::{google, settings, when, within};
use super::overtaken::unseen_change;
use super::*;

const SERVICES: &[http_kit::Service] = &[appointment::SERVICE, patient::SERVICE];

/// The provider service: says the hours once more, while somebody deletes the profile; then there is none.
struct Providers {
    is_next_the_last: Arc<AtomicBool>,
    _fake: Fake,
}

impl Providers {
    async fn start(port: u16, stack: &Arc<TestStack>) -> Self {
        let is_next_the_last = Arc::new(AtomicBool::new(false));
        let db = stack.database(ServiceName::AppointmentService).db().clone();
        let (is_last, is_gone) = (Arc::clone(&is_next_the_last), Mutex::new(false));
        let here = tokio::runtime::Handle::current();
        let fake = Fake::start(port, move |_| {
            let mut is_gone = is_gone.lock().unwrap();
            if *is_gone {
                let none = serde_json::to_string(&Problem::new(ProblemCode::NotFound)).unwrap();
                return Say::This(404, "content-type: application/problem+json\r\n", none);
            }
            if is_last.load(Ordering::SeqCst) {
                *is_gone = true;
                tokio::task::block_in_place(|| {
                    here.block_on(async {
                        let mut tx = db.begin().await.unwrap();
                        unseen_change(&mut tx, ProviderId::parse("prov001").unwrap()).await;
                        tx.commit_unaudited().await.unwrap();
                    });
                });
            }
            let body = json!({"providerId": "prov001", "version": 1, "timeOff": [], "provider": {
                "providerId": "prov001", "name": "Dr. Jane Doe", "specialization": "Cardiology", "timeZone": "Europe/Berlin",
                "contactInfo": {"phone": "+1234567890", "email": "janedoe@example.com"},
                "availability": [{"day": "Monday", "slots": ["09:00-12:00"]}]
            }});
            Say::This(200, "content-type: application/json\r\n", body.to_string())
        })
        .await;
        Self { is_next_the_last, _fake: fake }
    }
}

async fn what_was_moved_there_is_put_back_where_the_profile_goes_meanwhile(
    stack: Arc<TestStack>,
    providers_port: u16,
    google_port: u16,
) {
    let providers = Providers::start(providers_port, &stack).await;
    let fake = google(&stack, google_port).await;
    patient(&stack, "12345").await;
    let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
    look(&stack, "Ok").await;
    let event = within(&fake).there()[0]["id"].as_str().unwrap().to_owned();
    within(&fake).write(&event, &json!({"start": when("09:00"), "end": when("09:30")}));
    providers.is_next_the_last.store(true, Ordering::SeqCst);
    look(&stack, "Ok").await;
    let stands = get(&stack, "apt1").await.expect(200).json();
    assert_eq!((&stands["timeSlot"], &stands["conflict"]), (&json!("10:00"), &json!("OutsideMove")));
    assert_eq!(within(&fake).there()[0]["start"]["dateTime"], "2026-01-19T09:00:00Z");
}

fn run(engine: Engine) {
    let (providers, google) = (free_port(), free_port());
    let change = |service: &mut ServiceSettings| {
        let address = Address(format!("http://127.0.0.1:{providers}"));
        service.peers.insert(ServiceName::ProviderService, Peer { address });
        service.integrations.calendars = vec![settings(google)];
        service.integrations.public_url = Some("https://clinic.example/".to_owned());
    };
    testkit::stack::run_with(engine, SERVICES, change, move |stack| {
        what_was_moved_there_is_put_back_where_the_profile_goes_meanwhile(stack, providers, google)
    });
}

#[test]
fn what_was_moved_there_is_put_back_where_the_profile_goes_meanwhile_sqlite() {
    run(Engine::Sqlite);
}

#[test]
fn what_was_moved_there_is_put_back_where_the_profile_goes_meanwhile_postgres() {
    run(Engine::Postgres);
}
