//! The handlers: authorise, load, decide, save, commit.

pub mod answers;
pub mod callbacks;
pub mod deliveries;
pub mod devices;
pub mod events;
pub mod export;
pub mod follow;
pub mod list;
pub mod mail_reports;
pub mod preferences;
pub mod read;
pub mod send;
pub mod templates;
pub mod unsubscribe;

use contracts::field::Email;
use contracts::id::{NotificationId, PatientId};
use contracts::links::LinkToken;
use contracts::providers::ProvidersClient;
use contracts::trail;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Kit, Retention};
use settings::ServiceName;

use crate::channels::Channels;
use crate::domain::notification::Notification;
use crate::error::Error;
use crate::jobs::deliver::Delivery;
use crate::links::{Links, Purpose};
use crate::planner::Planner;
use crate::store::notification::notification_find;

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    pub(crate) delivery: Delivery,
    pub(crate) planner: Planner,
    /// Push services of the clinic's own.
    own_hosts: Vec<String>,
    /// `None` where the stack has no such service.
    providers: Option<ProvidersClient>,
    /// Who is told of emergencies, beside who treats the patient.
    privacy_officer: Option<Email>,
    /// For how many years notifications of erased patients are kept.
    years: u32,
    pub(crate) retention: Retention,
    /// Who tells of mail that comes back, if anybody.
    mail_server: Option<mail_reports::MailServer>,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let outside = &kit.settings.integrations;
        let around = (&kit.world.secrets, &kit.world.clock, &kit.world.random);
        let channels = Channels::new(outside, around)?;
        let web_push = outside.push.as_ref().and_then(|push| push.web_push.as_ref());
        let links = Links::new(kit.db.clone(), outside.public_url.as_deref(), &outside.link_hosts);
        let delivery = Delivery::new(kit.db.clone(), channels, links);
        let years = kit.settings.retention.notifications;
        Ok(Self {
            years,
            retention: Retention::new(&kit.db, years),
            db: kit.db.clone(),
            planner: Planner::new(kit, delivery.clone())?,
            delivery,
            own_hosts: web_push.map(|it| it.own_hosts.clone()).unwrap_or_default(),
            providers: kit.optional_transport(ServiceName::ProviderService)?.map(ProvidersClient::new),
            privacy_officer: privacy_officer(kit),
            mail_server: outside
                .mail_reports
                .clone()
                .map(|settings| mail_reports::MailServer::new(settings, kit.world.secrets.clone())),
        })
    }

    /// Which message has a link, if it is ours and for this. From here on the audit knows who acts: whoever has that message.
    fn message_of<'a>(&self, purpose: Purpose, token: &'a LinkToken) -> Result<&'a NotificationId, Error> {
        if !self.delivery.links().is_ours(purpose, token)? {
            return Err(Error::NotFound);
        }
        let id = token.notification();
        trail::has_shown(format!("link:{id}"));
        Ok(id)
    }

    /// A message that can be opened.
    async fn opened(&self, id: &NotificationId) -> Result<Notification, Error> {
        let mut tx = self.db.read().await?;
        let sealed = notification_find(&mut tx, id).await?.ok_or(Error::NotFound)?;
        drop(tx);
        sealed.open(&self.db).await?.ok_or(Error::NotFound)
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
