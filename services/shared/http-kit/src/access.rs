//! Whether a caller may see a patient's data: where who treats whom decides, and where the patient does not share it. And what the events tell of
//! that, taken in.

use contracts::consents::DataClass;
use contracts::event::{CareNotice, GlassNotice, What};
use contracts::id::{PatientId, ProviderId};
use contracts::permission::Role;
use contracts::trail;
use db::{Care, Db, Denied, Error, Standing, Tx, denied_name};

use crate::{Caller, Reach};

/// Of whom a consent is that denies a kind of data to anybody: those ask for it whom none restricts, so that the audit can say so.
pub(crate) const ANYBODY: &str = "anybody";

/// What whoever sees a patient and does not treat them is told, where [`treats`] or [`shows_unbroken`] is asked for.
pub const TREATING_NEEDED: &str =
    "Only who treats the patient may do this. Breaking the glass is to see, and makes nobody treat.";

/// Whether the glass that somebody broke counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glass {
    Counts,
    LeftOut,
}

/// Whether the caller may see this patient: everybody as far as they see at all, clinicians whom they treat, and whose glass they broke.
/// The audit is told if it is by that. What the patient does not share is another question: [`shows`].
///
/// It asks the database the same, whether there is such a patient or not.
pub async fn reaches(tx: &mut Tx, caller: &Caller, patient: &PatientId) -> Result<bool, Error> {
    by_care(tx, caller, patient, Glass::Counts).await
}

/// Whether the caller may say who treats this patient, when, and where they are written to: [`reaches`], as it is with no glass broken. What makes
/// care or ends it would outlast the hour and the review.
///
/// It asks the database the same as [`reaches`].
pub async fn treats(tx: &mut Tx, caller: &Caller, patient: &PatientId) -> Result<bool, Error> {
    by_care(tx, caller, patient, Glass::LeftOut).await
}

async fn by_care(tx: &mut Tx, caller: &Caller, patient: &PatientId, glass: Glass) -> Result<bool, Error> {
    if !caller.is_carer() {
        return Ok(caller.reach().covers(patient));
    }
    Seeker::by_care(caller).may(tx, patient, glass).await
}

/// Whether the caller may see this kind of the patient's data: [`reaches`], and no consent denies it to them. Who runs the clinic or watches over
/// privacy, and who broke the glass, sees it all the same, and the audit is told so.
///
/// It asks the database the same, whether there is such a patient or not. Whoever hands out data that they are not of (an export) asks here, for each kind;
/// the patient service knows of every kind, each other service of its own.
pub async fn shows(
    tx: &mut Tx,
    db: &Db,
    caller: &Caller,
    class: DataClass,
    patient: &PatientId,
) -> Result<bool, Error> {
    by_class(tx, db, caller, (class, patient), Glass::Counts).await
}

/// [`shows`], as it is with no glass broken: to [`treats`] what that is to [`reaches`].
pub async fn shows_unbroken(
    tx: &mut Tx,
    db: &Db,
    caller: &Caller,
    class: DataClass,
    patient: &PatientId,
) -> Result<bool, Error> {
    by_class(tx, db, caller, (class, patient), Glass::LeftOut).await
}

async fn by_class(
    tx: &mut Tx,
    db: &Db,
    caller: &Caller,
    (class, patient): (DataClass, &PatientId),
    glass: Glass,
) -> Result<bool, Error> {
    match Seeker::of(db, caller, class)? {
        Some(seeker) => seeker.may(tx, patient, glass).await,
        None => Ok(caller.reach().covers(patient)),
    }
}

/// Somebody who asks for patients' data that are not their own, as lists are narrowed to what they may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeker {
    /// The user.
    pub user: String,
    /// The provider they are.
    pub provider: Option<ProviderId>,
    /// The patient they are, if they act as one too: what is theirs they see.
    pub own: Option<PatientId>,
    /// They see whom they treat, and nobody else.
    pub is_carer: bool,
    /// No consent restricts them.
    pub is_exempt: bool,
    /// What they are where a consent denies what they ask for, as [`db::Seeker`] has it.
    pub names: String,
}

impl Seeker {
    /// Somebody who asks for this kind of data. `None`: whose reach alone decides, since they see nothing but what is theirs, or are a part of
    /// the stack, which shows nobody anything.
    pub fn of(db: &Db, caller: &Caller, class: DataClass) -> Result<Option<Self>, Error> {
        if caller.reach() != Reach::Everyone || caller.is_part() {
            return Ok(None);
        }
        let seeker = Self::by_care(caller);
        let names = seeker.names(db, caller, class)?.join(" ");
        Ok(Some(Self { names, ..seeker }))
    }

    /// Somebody who sees whom they treat, of what no consent says anything.
    pub fn carer(caller: &Caller) -> Option<Self> {
        caller.is_carer().then(|| Self::by_care(caller))
    }

    /// Somebody of whom only the care is asked.
    fn by_care(caller: &Caller) -> Self {
        let is_exempt = |role: &Role| matches!(role, Role::Admin | Role::PrivacyOfficer);
        Self {
            user: caller.user.clone(),
            provider: caller.provider_id.clone(),
            own: caller.own().cloned(),
            is_carer: caller.is_carer(),
            is_exempt: caller.roles.iter().any(is_exempt),
            names: String::new(),
        }
    }

    fn names(&self, db: &Db, caller: &Caller, class: DataClass) -> Result<Vec<String>, Error> {
        let name = |kind: &str, who: &str| denied_name(db, class.as_str(), kind, who);
        if self.is_exempt {
            return Ok(vec![name(ANYBODY, "")?]);
        }
        let roles = caller.role_names();
        let mut names =
            roles.iter().map(|role| name("role", role.as_str())).collect::<Result<Vec<_>, _>>()?;
        names.push(name("user", &self.user)?);
        if let Some(provider) = &self.provider {
            names.push(name("provider", provider.as_str())?);
        }
        Ok(names)
    }

    /// Whether they may see this patient's; the audit is told by what right, if it is not the usual one.
    pub async fn may_see(&self, tx: &mut Tx, patient: &PatientId) -> Result<bool, Error> {
        self.may(tx, patient, Glass::Counts).await
    }

    async fn may(&self, tx: &mut Tx, patient: &PatientId, glass: Glass) -> Result<bool, Error> {
        let standing = db::standing(tx, self.as_kept(), patient.as_str()).await?;
        if self.own.as_ref() == Some(patient) {
            return Ok(true);
        }
        let Standing { treats, grant, denial } = standing;
        let grant = grant.filter(|_| glass == Glass::Counts);
        if !(treats || grant.is_some() || !self.is_carer) {
            return Ok(false);
        }
        match (denial, grant) {
            (None, Some(grant)) if self.is_carer && !treats => {
                trail::because(&format!("break-glass {grant}"));
            }
            (None, _) => {}
            (Some(consent), Some(grant)) if !self.is_exempt => {
                trail::because(&format!("break-glass {grant}, past consent {consent}"));
            }
            (Some(consent), _) if self.is_exempt => trail::because(&format!("past consent {consent}")),
            (Some(_), _) => return Ok(false),
        }
        Ok(true)
    }

    /// Whether a row of a list is not for them, by what stands with it.
    pub fn is_denied(&self, denied: &Denied) -> bool {
        denied.denial.is_some() && denied.glass.is_none() && !self.is_exempt
    }

    /// Tells the audit what a list shows them although a consent denies it, and by what right.
    pub fn tell_passed<'a>(&self, shown: impl Iterator<Item = &'a Denied>) {
        let mut passed: Vec<_> = shown.filter_map(|denied| self.passed(denied)).collect();
        passed.sort();
        passed.dedup();
        if !passed.is_empty() {
            trail::because(&passed.join("; "));
        }
    }

    fn passed(&self, denied: &Denied) -> Option<String> {
        let consent = denied.denial.as_ref()?;
        match &denied.glass {
            _ if self.is_exempt => Some(format!("past consent {consent}")),
            Some(grant) => Some(format!("break-glass {grant}, past consent {consent}")),
            None => None,
        }
    }

    fn as_kept(&self) -> db::Seeker<'_> {
        let provider = self.provider.as_ref().map(ProviderId::as_str);
        db::Seeker { user: &self.user, provider, names: &self.names }
    }
}

/// The patients of whom an event tells who may see them, or that a legal hold is on them.
pub fn told_of(what: &What) -> Vec<&PatientId> {
    match what {
        What::CareTold { care } => care.iter().map(|care| &care.patient_id).collect(),
        What::GlassBroken(notice) | What::GlassShut(notice) => vec![&notice.patient_id],
        What::ConsentChanged { patient_id } => vec![patient_id],
        What::HoldChanged(notice) => vec![&notice.patient_id],
        _ => Vec::new(),
    }
}

/// Takes in what an event tells of who may see whom, and of legal holds, under the [`db::erasure_lock`] of [`told_of`]. What a patient does not share it does not tell:
/// [`consents`](crate::consents).
pub async fn take_in(tx: &mut Tx, what: &What) -> Result<(), Error> {
    match what {
        What::HoldChanged(_) => crate::retention::take_hold(tx, what).await,
        What::CareTold { care } => {
            for notice in care {
                take_care(tx, notice).await?;
            }
            Ok(())
        }
        What::GlassBroken(GlassNotice { grant_id, user_id, patient_id, until, .. })
        | What::GlassShut(GlassNotice { grant_id, user_id, patient_id, until, .. }) => {
            db::glass_open(tx, grant_id.as_str(), user_id.as_str(), patient_id.as_str(), *until).await
        }
        _ => Ok(()),
    }
}

/// Takes in what one source of care says.
pub async fn take_care(tx: &mut Tx, notice: &CareNotice) -> Result<(), Error> {
    let CareNotice { source, version, patient_id, provider_id, until } = notice;
    let (patient, provider) = (patient_id.as_str(), provider_id.as_str());
    db::care_take(tx, &Care { source, version: *version, patient, provider, until: *until }).await
}
