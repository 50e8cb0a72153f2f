//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod care_team;
pub mod consents;
pub mod delete;
pub mod erasure;
pub mod events;
pub mod export;
pub mod hold;
pub mod read;
pub mod register;
pub mod retained;
pub mod search;
pub mod update;

use std::sync::Arc;

use chrono::NaiveDate;
use contracts::consents::DataClass;
use contracts::id::PatientId;
use contracts::permission::Permission;
use db::{Db, Tx};
use http_kit::kit::BuildError;
use http_kit::{Caller, Kit, Retention, View, access};

use export::Holders;

use crate::error::Error;
use crate::store::patient::{Kept, patient_find};

/// How much of a patient a caller is shown by what they are: whoever does not treat them, and is not they, no medical history.
fn sees(caller: &Caller, id: &PatientId) -> View {
    caller.view(Permission::PatientsClinical, id)
}

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    time_zone: chrono_tz::Tz,
    holders: Arc<Holders>,
    pub(crate) retention: Retention,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, BuildError> {
        let holders = Arc::new(Holders::new(kit)?);
        let (db, time_zone) = (kit.db.clone(), kit.settings.time_zone.parse()?);
        // Who a patient is has no years of its own: a hold alone keeps it.
        let retention = Retention::new(&db, 0);
        Ok(Self { db, time_zone, holders, retention })
    }

    /// Today, where the clinic is.
    fn today(&self) -> NaiveDate {
        self.db.clock().now().with_timezone(&self.time_zone).date_naive()
    }

    /// How much of a patient a caller is shown who sees them: by what they are, and as far as the patient shares it.
    async fn sees(&self, tx: &mut Tx, caller: &Caller, id: &PatientId) -> Result<View, Error> {
        let view = sees(caller, id);
        if view.is_whole() && !access::shows(tx, &self.db, caller, DataClass::Clinical, id).await? {
            return Ok(View::Necessary);
        }
        Ok(view)
    }

    /// The patient, if there is one and the caller may know of them. Of one whom they may not, the database is not asked whether they are.
    async fn visible(&self, tx: &mut Tx, caller: &Caller, id: &PatientId) -> Result<Kept, Error> {
        if !access::reaches(tx, caller, id).await? {
            return Err(Error::NotFound);
        }
        patient_find(tx, &self.db, id).await?.ok_or(Error::NotFound)
    }

    /// The patient, for a change of theirs that outlasts an emergency: whom the caller sees by breaking the glass alone, they do not change.
    async fn treated(&self, tx: &mut Tx, caller: &Caller, id: &PatientId) -> Result<Kept, Error> {
        let kept = self.visible(tx, caller, id).await?;
        if access::treats(tx, caller, id).await? { Ok(kept) } else { Err(Error::NotTreating) }
    }
}
