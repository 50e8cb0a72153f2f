//! What is kept aside of a patient who is erased while a legal hold is on them.

use chrono::Datelike;
use contracts::id::ProviderId;
use db::{Db, Item, Tx};
use http_kit::View;
use http_kit::page::Window;
use serde::Serialize;

use crate::domain::care_team::Place;
use crate::store::care_team::care_team_all;
use crate::store::consent::consent_list;
use crate::store::patient::Kept;

/// A place in the care team, present or past, as it is given out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    provider_id: ProviderId,
    is_in: bool,
    until: Option<String>,
}

impl From<Place> for Seat {
    fn from(place: Place) -> Self {
        Self {
            provider_id: place.provider,
            is_in: place.is_in,
            until: place.last_day.map(|day| day.to_string()),
        }
    }
}

/// Keeps who a patient is, who treats them and what they do not share, under [`db::erasure_lock`], before it is taken away.
pub async fn patient_hold(tx: &mut Tx, db: &Db, kept: &Kept, hold: i64) -> Result<(), db::Error> {
    let (patient, how, from_year) = (&kept.id, db::Kept::Held(hold), i64::from(tx.now().year()));
    let shown = kept.patient.view(patient, View::Whole);
    db::retained_put(
        tx,
        db,
        Item { kind: "patient", id: patient.as_str(), patient: patient.as_str(), from_year },
        how,
        &shown,
    )
    .await?;
    for consent in consent_list(tx, db, patient).await? {
        let shown = consent.view();
        db::retained_put(
            tx,
            db,
            Item { kind: "consents", id: consent.id.as_str(), patient: patient.as_str(), from_year },
            how,
            &shown,
        )
        .await?;
    }
    let mut window = Window { after: None, limit: contracts::page::LIMIT_MAX };
    loop {
        let places = care_team_all(tx, patient, &window).await?;
        let Some(last) = places.last() else { return Ok(()) };
        window.after = Some(last.provider.clone());
        for place in places {
            let id = format!("{patient}:{}", place.provider);
            db::retained_put(
                tx,
                db,
                Item { kind: "care-team", id: &id, patient: patient.as_str(), from_year },
                how,
                &Seat::from(place),
            )
            .await?;
        }
    }
}
