//! An invented clinic, so that there is something to see: a dozen providers, a few hundred patients, three months of appointments,
//! records and bills.
//!
//! The same people come every time, around the week in which they are loaded. Everything goes through the services' own API, as the
//! demo's user johndoe, so it is as valid as what anybody else could enter.

mod people;
mod plan;

use std::sync::Arc;

use contracts::ambient::Random;
use contracts::appointments::{AppointmentRequest, AppointmentsClient};
use contracts::auth::{AuthClient, LoggedIn, LoginRequest};
use contracts::bills::{BillStatus, BillsClient};
use contracts::client::{ClientError, TokenSource, Transport};
use contracts::id::{AppointmentId, BillId};
use contracts::merge_patch::MergePatch;
use contracts::patients::PatientsClient;
use contracts::permission::Role;
use contracts::problem::ProblemCode;
use contracts::providers::ProvidersClient;
use contracts::records::RecordsClient;
use contracts::slot_holds::CancelQuery;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use http_kit::kit::World;
use http_kit::serve;
use settings::ServiceName;
use stack::{Placement, Stack, plan_service};

use crate::data::DataDir;
use crate::fault::Fault;

const USER: &str = "johndoe";
const PASSWORD: &str = "password123";
const DONE: &str = "demo-loaded";
/// So many requests at a time: SQLite has one writer a service anyway.
const AT_ONCE: usize = 8;

/// Invented people must get no real mail, and nobody else what is written to them: their numbers may be somebody's.
pub fn refuse_real_mail(stack: &Stack) -> Result<(), Fault> {
    let outside = &stack.integrations;
    let (sms, push) = (outside.sms.is_some(), outside.push.is_some());
    let ways = [("mail", outside.mail.is_some()), ("sms", sms), ("push", push)];
    match ways.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((way, _)) => Err(Fault::asked(format!(
            "--demo invents people with addresses: take spec.integrations.{way} out first"
        ))),
    }
}

/// Loads the clinic, once for a data folder. After a crash in the middle it goes on where it stopped.
pub async fn load(stack: &Stack, placement: &Placement, world: &World, data: &DataDir) -> Result<(), Fault> {
    let done = data.path().join(DONE);
    if done.exists() {
        return Ok(());
    }
    println!("Inventing a clinic: some twenty seconds, once.");
    let loader = Loader::sign_in(stack, placement, world).await?;
    let today = world.clock.now().with_timezone(&stack.time_zone).date_naive();
    let clinic = plan::clinic(today);
    loader
        .fill(&clinic)
        .await
        .map_err(|error| Fault::failed(format!("the demo cannot be loaded: {error}")))?;
    std::fs::write(&done, "").map_err(|error| Fault::failed(format!("{}: {error}", done.display())))
}

struct Loader {
    patients: PatientsClient,
    providers: ProvidersClient,
    appointments: AppointmentsClient,
    records: RecordsClient,
    bills: BillsClient,
}

impl Loader {
    /// Makes the demo's user, and signs in as them.
    async fn sign_in(stack: &Stack, placement: &Placement, world: &World) -> Result<Self, Fault> {
        let failed =
            |error: &dyn std::fmt::Display| Fault::failed(format!("the demo's user cannot sign in: {error}"));
        let nobody: TokenSource = Arc::new(String::new);
        let to = |service: ServiceName, token: &TokenSource, random: &Random| {
            Transport::new(&placement.address(stack, service), None, Arc::clone(token), random.clone())
                .map_err(|error| failed(&error))
        };
        seed_user(stack, placement, world).await?;
        let auth = AuthClient::new(to(ServiceName::AuthService, &nobody, &world.random)?);
        let request = LoginRequest { username: USER.to_owned(), password: PASSWORD.to_owned(), code: None };
        let LoggedIn { token, status, .. } = auth.login(&request).await.map_err(|error| failed(&error))?;
        if status != "Authenticated" {
            return Err(failed(
                &"spec.auth.secondFactor asks administrators for a second factor, and it has none",
            ));
        }
        let token: TokenSource = Arc::new(move || token.clone());
        Ok(Self {
            patients: PatientsClient::new(to(ServiceName::PatientService, &token, &world.random)?),
            providers: ProvidersClient::new(to(ServiceName::ProviderService, &token, &world.random)?),
            appointments: AppointmentsClient::new(to(
                ServiceName::AppointmentService,
                &token,
                &world.random,
            )?),
            records: RecordsClient::new(to(ServiceName::MedicalRecordsService, &token, &world.random)?),
            bills: BillsClient::new(to(ServiceName::BillingService, &token, &world.random)?),
        })
    }

    async fn fill(&self, clinic: &plan::Clinic) -> Result<(), ClientError> {
        each(&clinic.providers, |provider| self.providers.add_provider(provider)).await?;
        each(&clinic.patients, |patient| self.patients.register_patient(patient)).await?;
        tokio::try_join!(
            each(&clinic.visits, |visit| self.visit(visit)),
            each(&clinic.records, |record| self.records.create_record(record)),
            each(&clinic.bills, |bill| self.bills.create_bill(bill)),
        )?;
        each(&clinic.paid, |id| self.paid(id)).await
    }

    async fn paid(&self, bill: &str) -> Result<(), ClientError> {
        let patch = status_patch(BillStatus::Paid)?;
        self.bills.update_bill(&BillId::trusted(bill.to_owned()), &patch).await.map(drop)
    }

    /// Books a visit, and brings it to where it stands by now.
    async fn visit(&self, visit: &plan::Visit) -> Result<(), ClientError> {
        let AppointmentRequest { appointment_id: Some(id), .. } = &visit.booking else { return Ok(()) };
        let id = AppointmentId::trusted(id.clone());
        known(self.appointments.book_appointment(&visit.booking).await)?;
        for status in visit.then {
            let patch = status_patch(status)?;
            known(self.appointments.update_appointment(&id, &patch).await)?;
        }
        if visit.cancelled {
            known(self.appointments.cancel_appointment(&id, &CancelQuery::default()).await)?;
        }
        Ok(())
    }
}

/// A change of nothing but the status.
fn status_patch<T>(status: impl serde::Serialize) -> Result<MergePatch<T>, ClientError> {
    MergePatch::of(&serde_json::json!({ "status": status }))
        .map_err(|error| ClientError::Unavailable(error.to_string()))
}

/// Makes the demo's user, past the password policy, which would refuse the document's own password.
async fn seed_user(stack: &Stack, placement: &Placement, world: &World) -> Result<(), Fault> {
    let failed =
        |error: &dyn std::fmt::Display| Fault::failed(format!("the demo's user cannot be made: {error}"));
    let settings = plan_service(stack, ServiceName::AuthService, placement);
    let db = serve::open(auth::SERVICE, &settings, world).await.map_err(|error| failed(&error))?;
    let made = auth::seed::user(&db, USER, PASSWORD, &[Role::Admin]).await;
    db.close().await;
    match made {
        Ok(_) | Err(auth::Error::Taken) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

/// Does it for each, some at a time.
async fn each<'a, T, R, F>(items: &'a [T], create: impl Fn(&'a T) -> F) -> Result<(), ClientError>
where
    F: Future<Output = Result<R, ClientError>>,
{
    stream::iter(items).map(create).buffer_unordered(AT_ONCE).map(known).try_for_each(async |()| Ok(())).await
}

/// What an earlier start had loaded already is no failure.
fn known<R>(result: Result<R, ClientError>) -> Result<(), ClientError> {
    match result {
        Err(ClientError::Problem(problem))
            if matches!(
                problem.code,
                ProblemCode::AlreadyExists | ProblemCode::AppointmentOverlap | ProblemCode::InvalidTransition
            ) =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}
