//! `GET /api/referrals` and `GET /api/referrals/{referralId}`

use contracts::appointments::{ListReferrals, ReferralById};
use contracts::consents::DataClass;
use contracts::id::{PatientId, ProviderId};
use contracts::page::Page;
use contracts::problem::{Faults, Problem};
use contracts::referrals::{Referral, ReferralFilter};
use http_kit::export::Wanted;
use http_kit::page::Window;
use http_kit::{Answer, Call, Reach, Seeker, View};

use super::sees;
use crate::api::Api;
use crate::error::Error;
use crate::store::among::Want;
use crate::store::referral::{Search, referral_changes, referral_search};

/// Lists referrals, newest first.
pub async fn list(api: Api, call: Call<ListReferrals>) -> Result<Answer<ListReferrals>, Error> {
    let mut search = parse(&call.query)?;
    let seeker = Seeker::of(&api.db, &call.caller, DataClass::Appointments)?;
    let mut tx = api.db.read().await?;
    let shows = match (call.caller.reach(), &seeker, &search.patient) {
        // Whoever sees whom they treat is bound by the search itself.
        (Reach::Everyone, Some(seeker), Some(patient)) if !seeker.is_carer => {
            seeker.may_see(&mut tx, patient).await?
        }
        (Reach::Everyone, ..) => true,
        (Reach::Only(own), ..) => search.patient.replace(own.clone()).is_none_or(|asked| asked == own),
        (Reach::Nobody, ..) => false,
    };
    let mut rows = Vec::new();
    if shows {
        rows = referral_search(&mut tx, &api.db, &search, seeker.as_ref()).await?;
    }
    let page = search.window.page(rows);
    if let Some(seeker) = &seeker {
        seeker.tell_passed(page.items.iter().map(|kept| &kept.denied));
    }
    let today = api.today();
    let shown = page.items.iter().map(|kept| {
        kept.referral.view((&kept.id, kept.created_at), sees(&call.caller, &kept.referral), today)
    });
    Ok(Answer::new(Page { items: shown.collect(), next_cursor: page.next_cursor }))
}

/// One of them, and what was done with it.
pub async fn by_id(api: Api, call: Call<ReferralById>) -> Result<Answer<ReferralById>, Error> {
    let (id,) = &call.path;
    let mut tx = api.db.read().await?;
    let kept = api.visible_referral(&mut tx, &call.caller, id).await?;
    let view = sees(&call.caller, &kept.referral);
    let history = referral_changes(&mut tx, &api.db, (id, &kept.referral.patient), view).await?;
    let referral = kept.referral.view((id, kept.created_at), view, api.today());
    Ok(Answer::new(Referral { history, ..referral }))
}

fn parse(filter: &ReferralFilter) -> Result<Search, Problem> {
    let mut faults = Faults::new();
    let patient = filter.patient_id.as_deref().map(PatientId::parse).transpose();
    let patient = faults.take("patientId", patient);
    let provider = filter.provider_id.as_deref().map(ProviderId::parse).transpose();
    let provider = faults.take("providerId", provider);
    let window = Window::parse(filter.limit, filter.cursor.as_deref(), &mut faults);
    let search = patient.zip(provider).zip(window);
    faults.finish_query(search.map(|((patient, provider), window)| Search {
        patient,
        provider,
        want: Want::Openable,
        window,
    }))
}

/// A patient's, for the export of all that is held of them.
pub(in crate::api) async fn of_patient(api: Api, wanted: Wanted) -> Result<Page<Referral>, Error> {
    let window = wanted.window()?;
    let search = Search { patient: Some(wanted.patient), provider: None, want: Want::Whole, window };
    let mut tx = api.db.read().await?;
    let page = search.window.page(referral_search(&mut tx, &api.db, &search, None).await?);
    let mut items = Vec::with_capacity(page.items.len());
    for kept in &page.items {
        let of = (&kept.id, &kept.referral.patient);
        let history = referral_changes(&mut tx, &api.db, of, View::Whole).await?;
        let view = kept.referral.view((&kept.id, kept.created_at), View::Whole, api.today());
        items.push(Referral { history, ..view });
    }
    Ok(Page { items, next_cursor: page.next_cursor })
}
