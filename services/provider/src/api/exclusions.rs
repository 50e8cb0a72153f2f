//! The list of those who are excluded: taken in part by part, and who of the providers stands on it.

use contracts::exclusions::{
    ExclusionListStatus, ExclusionLists, ExclusionMatch, ExclusionMatches, ExclusionReviewed, NOTE_CHARS_MAX,
    PARTS_MAX,
};
use contracts::field;
use contracts::page::Page;
use contracts::problem::{Faults, Problem};
use contracts::providers::{ListExclusionMatches, ListExclusions, PutExclusions, ReviewExclusion};
use http_kit::page::Window;
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::exclusion::parse;
use crate::domain::search::{Key, Search};
use crate::error::Error;
use crate::store::exclusion::{
    Found, Review, exclusion_edition, exclusion_list_begin, exclusion_list_complete, exclusion_lists,
    exclusion_part_put, exclusion_review_put, exclusions_found, exclusions_lock,
};
use crate::store::provider::{Kept, provider_search};

/// Looked through at a time.
const BATCH: u32 = contracts::page::LIMIT_MAX;

/// Takes a part of a list in. With the last that is missing the list counts, whole, and the one before goes. The same part once more changes nothing.
pub async fn put(api: Api, call: Call<PutExclusions>) -> Result<Answer<PutExclusions>, Error> {
    let mut faults = Faults::new();
    let (part, parts) = (call.body.part, call.body.parts);
    let edition = faults.take("edition", field::date(&call.body.edition));
    if !(1..=PARTS_MAX).contains(&parts) {
        faults.add("parts", format_args!("must be between 1 and {PARTS_MAX}"));
    }
    if !(1..=parts).contains(&part) {
        faults.add("part", "must be between 1 and parts");
    }
    let entries = faults.take("csv", parse(&call.body.csv));
    let (edition, entries) = faults.finish(edition.zip(entries))?;
    db::retrying(&api.db, async |mut tx| {
        exclusions_lock(&mut tx).await?;
        let current = exclusion_edition(&mut tx).await?;
        if current.is_some_and(|current| edition < current) {
            return Err(fault("edition", "must not be before the list that counts now").into());
        }
        if current != Some(edition) {
            exclusion_list_begin(&mut tx, edition, parts).await?;
            exclusion_part_put(&mut tx, &api.db, (edition, part), &entries).await?;
            exclusion_list_complete(&mut tx, edition).await?;
        }
        let lists = exclusion_lists(&mut tx).await?;
        tx.commit().await?;
        let is_it = |list: &ExclusionListStatus| list.edition == edition.to_string();
        lists.into_iter().find(is_it).map(Answer::new).ok_or(Error::Db(db::Error::LostRace))
    })
    .await
}

/// The lists that are here.
pub async fn lists(api: Api, _: Call<ListExclusions>) -> Result<Answer<ListExclusions>, Error> {
    let mut tx = api.db.read().await?;
    Ok(Answer::new(ExclusionLists { items: exclusion_lists(&mut tx).await? }))
}

/// The providers who stand on the list, or somebody of their name.
pub async fn matches(
    api: Api,
    call: Call<ListExclusionMatches>,
) -> Result<Answer<ListExclusionMatches>, Error> {
    let mut faults = Faults::new();
    let window = Window::<Key>::parse(call.query.limit, call.query.cursor.as_deref(), &mut faults);
    let window = faults.finish_query(window)?;
    let mut page = window.filling(BATCH);
    let mut tx = api.db.read().await?;
    while let Some(window) = page.unread() {
        let search = Search { terms: Vec::new(), window };
        let providers = provider_search(&mut tx, &api.db, &search).await?;
        page.has_read(providers.len());
        for (key, kept) in providers {
            let found = exclusions_found(&mut tx, &api.db, (&kept.id, &kept.provider.name)).await?;
            if page.put(key, (!found.is_empty()).then(|| shown(&kept, found))) {
                break;
            }
        }
    }
    let Page { items, next_cursor } = window.page(page.into_rows());
    Ok(Answer::new(Page { items, next_cursor }))
}

fn shown(kept: &Kept, found: Vec<Found>) -> ExclusionMatches {
    let matches = found.into_iter().map(|Found { id, by, entry, decision }| ExclusionMatch {
        provider_id: kept.id.to_string(),
        name: kept.provider.name.clone(),
        exclusion_id: id,
        matched_by: by,
        entry,
        decision,
    });
    ExclusionMatches { provider_id: kept.id.to_string(), matches: matches.collect() }
}

/// Notes what somebody found who looked whether a provider is who stands there.
pub async fn review(api: Api, call: Call<ReviewExclusion>) -> Result<Answer<ReviewExclusion>, Error> {
    let (provider,) = &call.path;
    let note = field::prose(&call.body.note, NOTE_CHARS_MAX).map_err(|error| fault("note", error))?;
    let review = Review { by: call.caller.user.clone(), note };
    let (exclusion, decision) = (&call.body.exclusion_id, call.body.decision);
    let answer = Answer::new(ExclusionReviewed { provider_id: provider.clone(), status: decision });
    db::retrying(&api.db, async |mut tx| {
        let known = api.found(&mut tx, provider).await?.provider;
        let found = exclusions_found(&mut tx, &api.db, (provider, &known.name)).await?;
        if !found.iter().any(|found| found.id == *exclusion) {
            return Err(
                fault("exclusionId", "must be the id of an entry that the provider is found at").into()
            );
        }
        exclusion_review_put(&mut tx, &api.db, (provider, exclusion), decision, &review).await?;
        Ok::<_, Error>(call.receipt.commit(tx, &answer).await?)
    })
    .await?;
    Ok(answer)
}

fn fault(field: &str, message: impl std::fmt::Display) -> Problem {
    let mut faults = Faults::new();
    faults.add(field, message);
    faults.into_problem()
}
