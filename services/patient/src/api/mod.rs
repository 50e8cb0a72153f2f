//! The handlers, a file each: authorise, load, decide, save, commit.

pub mod care_team;
pub mod delete;
pub mod events;
pub mod read;
pub mod register;
pub mod search;
pub mod update;

use chrono::NaiveDate;
use contracts::id::PatientId;
use contracts::permission::Permission;
use db::{Db, Tx};
use http_kit::{Caller, Kit, View, access};

use crate::error::Error;
use crate::store::patient::{Kept, patient_find};

/// How much of a patient a caller is shown: whoever does not treat them, and is not they, no medical history.
fn sees(caller: &Caller, id: &PatientId) -> View {
    caller.view(Permission::PatientsClinical, id)
}

/// What every handler has.
#[derive(Clone)]
pub struct Api {
    pub(crate) db: Db,
    time_zone: chrono_tz::Tz,
}

impl Api {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, chrono_tz::ParseError> {
        Ok(Self { db: kit.db.clone(), time_zone: kit.settings.time_zone.parse()? })
    }

    /// Today, where the clinic is.
    fn today(&self) -> NaiveDate {
        self.db.clock().now().with_timezone(&self.time_zone).date_naive()
    }

    /// The patient, if there is one and the caller may know of them. Of one whom they may not, the database is not asked whether they are.
    async fn visible(&self, tx: &mut Tx, caller: &Caller, id: &PatientId) -> Result<Kept, Error> {
        if !access::reaches(tx, caller, id).await? {
            return Err(Error::NotFound);
        }
        patient_find(tx, &self.db, id).await?.ok_or(Error::NotFound)
    }
}
