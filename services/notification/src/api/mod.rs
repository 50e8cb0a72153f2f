//! The handlers: authorise, load, decide, save, commit.

pub mod events;
pub mod export;
pub mod list;
pub mod preferences;
pub mod read;
pub mod send;
pub mod templates;

use contracts::field::Email;
use contracts::id::{NotificationId, PatientId};
use contracts::providers::ProvidersClient;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Kit, Retention};
use settings::ServiceName;

use crate::jobs::deliver::Delivery;
use crate::mail::Mailer;
use crate::planner::Planner;

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    pub(crate) delivery: Delivery,
    pub(crate) planner: Planner,
    /// `None` where the stack has no such service.
    providers: Option<ProvidersClient>,
    /// Who is told of emergencies, beside who treats the patient.
    privacy_officer: Option<Email>,
    /// For how many years notifications of erased patients are kept.
    years: u32,
    pub(crate) retention: Retention,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let mail = kit.settings.integrations.mail.as_ref();
        let mailer = mail.map(|mail| Mailer::new(mail, kit.world.secrets.clone())).transpose()?;
        let delivery = Delivery::new(kit.db.clone(), mailer);
        let years = kit.settings.retention.notifications;
        Ok(Self {
            years,
            retention: Retention::new(&kit.db, years),
            db: kit.db.clone(),
            planner: Planner::new(kit, delivery.clone())?,
            delivery,
            providers: kit.optional_transport(ServiceName::ProviderService)?.map(ProvidersClient::new),
            privacy_officer: privacy_officer(kit),
        })
    }

    fn new_id(&self) -> NotificationId {
        NotificationId::generate(self.db.random())
    }
}

/// Their mailbox. One that is none is none: the rest goes on, and the list of open reviews has it all.
fn privacy_officer(kit: &Kit) -> Option<Email> {
    let mailbox = kit.settings.access.privacy_officer.as_deref()?;
    let email = Email::parse(mailbox).ok();
    if email.is_none() {
        tracing::warn!("the privacy officer's mailbox is none: they are not written to");
    }
    email
}

/// Takes the lock of the patient whom it concerns, if it concerns one: the first thing in the transaction.
async fn lock_patient(tx: &mut Tx, patient: Option<&PatientId>) -> Result<(), db::Error> {
    match patient {
        Some(patient) => db::erasure_lock(tx, patient.as_str()).await,
        None => Ok(()),
    }
}
