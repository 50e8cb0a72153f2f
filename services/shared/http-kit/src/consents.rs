//! What patients do not share, brought from where they say so to where it is kept to.
//!
//! An event tells whose consents changed, and no more; what they are now is asked for. So no outbox holds it, and of two events that come in the wrong
//! order the later answer counts.

use contracts::client::ClientError;
use contracts::consents::{ConsentActor, DataClass, Denial, Denials};
use contracts::event::What;
use contracts::patients::PatientsClient;
use db::{Db, Error, Tx, denied_name};

use crate::access::ANYBODY;

/// Asks what a patient does not share now, if an event tells that it has changed. Before the transaction begins that takes the event.
pub async fn ask(patients: &PatientsClient, what: &What) -> Result<Option<Denials>, ClientError> {
    match what {
        What::ConsentChanged { patient_id } => patients.denials_of_patient(patient_id).await.map(Some),
        _ => Ok(None),
    }
}

/// Keeps that, as far as it is about these kinds of data, under [`db::erasure_lock`].
pub async fn keep(tx: &mut Tx, db: &Db, told: &Denials, classes: &[DataClass]) -> Result<(), Error> {
    let mut kept = Vec::new();
    for denial in &told.items {
        for class in classes.iter().filter(|class| denial.what.contains(class)) {
            kept.extend(rows(db, denial, *class)?);
        }
    }
    db::denials_put(tx, told.patient_id.as_str(), told.version, &kept).await
}

fn rows(db: &Db, denial: &Denial, class: DataClass) -> Result<[db::Denial; 2], Error> {
    let ConsentActor { role, provider, user } = &denial.who;
    // What is none of the three denies nobody anything.
    let (kind, who) = match (role, provider, user) {
        (Some(role), _, _) => ("role", role.as_str()),
        (_, Some(provider), _) => ("provider", provider.as_str()),
        (_, _, user) => ("user", user.as_deref().unwrap_or_default()),
    };
    let row = |who: String| db::Denial { consent: denial.consent_id.to_string(), who, until: denial.until };
    let named = denied_name(db, class.as_str(), kind, who)?;
    let anybody = denied_name(db, class.as_str(), ANYBODY, "")?;
    Ok([row(named), row(anybody)])
}
