//! The handlers: authorise, load, decide, save, commit.

pub mod events;
pub mod list;
pub mod read;
pub mod send;

use contracts::id::{NotificationId, PatientId};
use contracts::providers::ProvidersClient;
use db::{Db, Tx};
use http_kit::Kit;
use http_kit::kit::BuildError;
use settings::ServiceName;

use crate::jobs::deliver::Delivery;
use crate::mail::Mailer;

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    pub(crate) delivery: Delivery,
    /// `None` where the stack has no such service.
    providers: Option<ProvidersClient>,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let mail = kit.settings.integrations.mail.as_ref();
        let mailer = mail.map(|mail| Mailer::new(mail, kit.world.secrets.clone())).transpose()?;
        Ok(Self {
            db: kit.db.clone(),
            delivery: Delivery::new(kit.db.clone(), mailer),
            providers: kit.optional_transport(ServiceName::ProviderService)?.map(ProvidersClient::new),
        })
    }

    fn new_id(&self) -> NotificationId {
        NotificationId::generate(self.db.random())
    }
}

/// Takes the lock of the patient whom it concerns, if it concerns one: the first thing in the transaction.
async fn lock_patient(tx: &mut Tx, patient: Option<&PatientId>) -> Result<(), db::Error> {
    match patient {
        Some(patient) => db::erasure_lock(tx, patient.as_str()).await,
        None => Ok(()),
    }
}
