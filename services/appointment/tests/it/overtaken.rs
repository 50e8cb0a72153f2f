//! What was decided by a schedule that is another by the time it is written is decided anew.

use std::sync::atomic::{AtomicBool, Ordering};

use appointment::store::appointment::provider_lock;
use appointment::store::state::{Due, reviewed, schedule_heard};
use contracts::id::ProviderId;
use db::{Engine, Tx};
use testkit::fake::{Fake, Say};
use testkit::smtp::free_port;

use super::*;

const SERVICES: &[http_kit::Service] = &[appointment::SERVICE, patient::SERVICE];

/// The provider service, which says of everybody that they are there on Monday mornings, or in the afternoons.
struct Providers {
    fake: Fake,
    is_afternoon: Arc<AtomicBool>,
}

impl Providers {
    async fn start(port: u16) -> Self {
        let is_afternoon = Arc::new(AtomicBool::new(false));
        let says = Arc::clone(&is_afternoon);
        let fake = Fake::start(port, move |asked| {
            let id = asked.path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
            let hours = if says.load(Ordering::SeqCst) { "14:00-17:00" } else { "09:00-12:00" };
            let body = json!({"providerId": id, "version": 1, "timeOff": [], "provider": {
                "providerId": id, "name": "Dr. Jane Doe", "specialization": "Cardiology", "timeZone": "Europe/Berlin",
                "contactInfo": {"phone": "+1234567890", "email": "janedoe@example.com"},
                "availability": [{"day": "Monday", "slots": [hours]}]
            }});
            Say::This(200, "content-type: application/json\r\n", body.to_string())
        })
        .await;
        Self { fake, is_afternoon }
    }

    fn asked_of(&self, provider: &str) -> usize {
        self.fake.asked().iter().filter(|asked| asked.path.contains(provider)).count()
    }

    /// Lets something be decided by the hours in the morning, and has it find, once it comes to writing, that there are others: nobody but itself looks
    /// whether it fits them.
    async fn overtake(
        &self,
        stack: &Arc<TestStack>,
        id: &str,
        deed: impl Future<Output = Reply> + Send + 'static,
    ) -> Reply {
        let provider = ProviderId::parse(id).unwrap();
        let mut tx = stack.database(ServiceName::AppointmentService).db().begin().await.unwrap();
        tx.lock(&[&provider_lock(&provider)]).await.unwrap();
        let before = self.asked_of(id);
        let deed = tokio::spawn(deed);
        until(|| async { self.asked_of(id) > before }).await;
        self.is_afternoon.store(true, Ordering::SeqCst);
        unseen_change(&mut tx, provider).await;
        tx.commit_unaudited().await.unwrap();
        deed.await.unwrap()
    }
}

/// It is heard that a schedule has changed, and what is booked was held against it.
pub(crate) async fn unseen_change(tx: &mut Tx, provider: ProviderId) {
    schedule_heard(tx, &provider).await.unwrap();
    reviewed(tx, &Due { provider, heard: 1, after: None }, None).await.unwrap();
}

/// Each test on both engines, with a provider service of its own.
macro_rules! overtaken_tests {
    ($(async fn $name:ident($stack:ident: Arc<TestStack>, $providers:ident: Providers) $body:block)*) => {$(
        mod $name {
            use super::*;

            fn run(engine: Engine) {
                let port = free_port();
                let settings = |settings: &mut settings::ServiceSettings| {
                    let address = settings::Address(format!("http://127.0.0.1:{port}"));
                    settings.peers.insert(ServiceName::ProviderService, settings::Peer { address });
                };
                testkit::stack::run_with(engine, SERVICES, settings, move |$stack| async move {
                    let $providers = Providers::start(port).await;
                    patient(&$stack, "12345").await;
                    $body
                });
            }

            #[test]
            fn sqlite() {
                run(Engine::Sqlite);
            }

            #[test]
            fn postgres() {
                run(Engine::Postgres);
            }
        }
    )*};
}

overtaken_tests! {
    async fn who_takes_an_offer_that_the_hours_do_not_cover_any_more_is_in_conflict(stack: Arc<TestStack>, providers: Providers) {
        let entry = json!({"patientId": "12345", "providerId": "prov001", "from": MONDAY, "to": MONDAY}).to_string();
        let joined = call(&stack, Role::Receptionist, Method::POST, "/api/appointments/waitlist", Some(&entry)).await.expect(201);
        let path = format!("/api/appointments/waitlist/{}", joined.json()["waitlistId"].as_str().unwrap());
        let list = "/api/appointments/waitlist?patientId=12345";
        until(|| async { call(&stack, Role::Admin, Method::GET, list, None).await.json()["items"][0]["status"] == "Offered" }).await;
        let (taker, path) = (Arc::clone(&stack), format!("{path}/accept"));
        let accept = async move { call(&taker, Who::patient("12345"), Method::POST, &path, None).await };
        let taken = providers.overtake(&stack, "prov001", accept).await.expect(200).json();
        let booked = get(&stack, taken["appointmentId"].as_str().unwrap()).await.expect(200).json();
        assert_eq!((&booked["timeSlot"], &booked["conflict"]), (&json!("09:00"), &json!("OutsideHours")));
    }

    async fn who_is_moved_to_another_provider_is_moved_by_the_hours_of_now(stack: Arc<TestStack>, providers: Providers) {
        let _ = book(&stack, Role::Admin, &at("a", "12345", "prov001", "10:00")).await.expect(201);
        let body = json!({"providerId": "prov001", "toProviderId": "prov002", "from": MONDAY, "to": MONDAY}).to_string();
        let desk = Arc::clone(&stack);
        let move_all = async move { call(&desk, Role::Receptionist, Method::POST, "/api/appointments/reschedule", Some(&body)).await };
        let done = providers.overtake(&stack, "prov002", move_all).await.expect(200).json();
        assert_eq!((&done["moved"], &done["appointments"][0]["to"]["timeSlot"]), (&json!(1), &json!("14:00")));
        let moved = get(&stack, "a").await.expect(200).json();
        assert_eq!((&moved["providerId"], &moved["timeSlot"]), (&json!("prov002"), &json!("14:00")));
    }

    async fn what_is_kept_is_kept_for_what_is_so_now(stack: Arc<TestStack>, providers: Providers) {
        providers.is_afternoon.store(true, Ordering::SeqCst);
        let _ = book(&stack, Who::patient("12345"), &at("a", "12345", "prov001", "14:00")).await.expect(201);
        providers.is_afternoon.store(false, Ordering::SeqCst);
        let mut tx = stack.database(ServiceName::AppointmentService).db().begin().await.unwrap();
        schedule_heard(&mut tx, &ProviderId::parse("prov001").unwrap()).await.unwrap();
        tx.commit_unaudited().await.unwrap();
        until(|| async { get(&stack, "a").await.expect(200).json()["conflict"] == "OutsideHours" }).await;
        let desk = Arc::clone(&stack);
        let keep = async move { call(&desk, Role::Receptionist, Method::POST, "/api/appointments/a/conflict", Some(r#"{"resolution": "keep"}"#)).await };
        // They come in the afternoon again: then nothing is kept for hours that are none any more.
        let _ = providers.overtake(&stack, "prov001", keep).await.expect(200);
        providers.is_afternoon.store(false, Ordering::SeqCst);
        let mut tx = stack.database(ServiceName::AppointmentService).db().begin().await.unwrap();
        schedule_heard(&mut tx, &ProviderId::parse("prov001").unwrap()).await.unwrap();
        tx.commit_unaudited().await.unwrap();
        until(|| async { get(&stack, "a").await.expect(200).json()["conflict"] == "OutsideHours" }).await;
    }
}
