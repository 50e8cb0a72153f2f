//! The audit of all services, read as one: each is asked for its newest, and of those the newest are a page.
//!
//! A page is whole or there is none: a service that does not answer is no service that saw nothing.

pub mod accesses;
pub mod list;
pub mod verify;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::audit::{AuditEvent, AuditSearch, CollectAudit};
use contracts::audit_verification::{
    AuditVerdict, AuditVerification, ServiceVerification, VerificationQuery, VerifyServiceAudit,
};
use contracts::client::{ClientError, Transport};
use contracts::page::Page;
use db::{Db, Secrets};
use futures_util::future::{join_all, try_join_all};
use http_kit::Kit;
use http_kit::page::Window;
use http_kit::verification;
use settings::ServiceName;

use crate::error::Error;

/// Where an entry stands among those of all services.
type Place = (DateTime<Utc>, String, String, i64);

/// The ways to every audit: our own, and those of the services that this stack has.
#[derive(Debug)]
pub struct Audits {
    own: Db,
    secrets: Secrets,
    peers: Vec<(ServiceName, Arc<Transport>)>,
}

impl Audits {
    /// From the kit.
    pub fn new(kit: &Kit) -> Result<Self, ClientError> {
        Ok(Self { own: kit.db.clone(), secrets: kit.world.secrets.clone(), peers: kit.transports()? })
    }

    /// A page of what is looked for.
    async fn page(&self, search: &AuditSearch, window: &Window<Place>) -> Result<Page<AuditEvent>, Error> {
        let own = self.own.service();
        let own = http_kit::audit::find(&self.own, search_at(own, search, window)).await?;
        let asked = self.peers.iter().map(|(service, way)| async move {
            way.call::<CollectAudit>(&[], &search_at(*service, search, window), &()).await
        });
        let others = try_join_all(asked).await?;
        let mut rows: Vec<_> = own
            .into_iter()
            .chain(others.into_iter().flat_map(|events| events.items))
            .map(|event| ((event.at, event.service.clone(), event.chain.clone(), event.seq), event))
            .collect();
        rows.sort_by(|(one, _), (other, _)| other.cmp(one));
        Ok(window.page(rows))
    }

    /// What the audit of each service is found to be. One that does not say so is told of as such: what the others say is worth hearing.
    async fn verification(&self, query: &VerificationQuery) -> AuditVerification {
        let asked = self.peers.iter().map(|(service, way)| async move {
            let found = way.call::<VerifyServiceAudit>(&[], query, &()).await;
            found.unwrap_or_else(|error| {
                tracing::warn!(%service, %error, "it does not tell whether its audit is as it was written");
                unanswered(*service)
            })
        });
        let (own, mut services) =
            tokio::join!(verification::found(&self.own, &self.secrets, query), join_all(asked));
        services.insert(
            0,
            own.unwrap_or_else(|error| {
                tracing::warn!(%error, "the own audit cannot be verified");
                unanswered(self.own.service())
            }),
        );
        let is_sound =
            |found: &ServiceVerification| matches!(found.verdict, AuditVerdict::Sound | AuditVerdict::Empty);
        AuditVerification { sound: services.iter().all(is_sound), services }
    }
}

fn unanswered(service: ServiceName) -> ServiceVerification {
    ServiceVerification {
        service: service.to_string(),
        verdict: AuditVerdict::Unanswered,
        entries: 0,
        chains: 0,
        signed: 0,
        faults: Vec::new(),
        faulty_chains: 0,
    }
}

/// What one service is asked for, so that what comes before the page is not told again: of what happened at the same instant, that of
/// services whose name sorts after the last one's stood on the page before.
fn search_at(service: ServiceName, search: &AuditSearch, window: &Window<Place>) -> AuditSearch {
    let mut search = AuditSearch { limit: window.limit + 1, ..search.clone() };
    if let Some((at, last, chain, seq)) = &window.after {
        let name = service.as_str();
        let is_still_to_come = name < last.as_str();
        search.before_at = Some(if is_still_to_come { *at + TimeDelta::microseconds(1) } else { *at });
        if name == last {
            (search.before_chain, search.before_seq) = (Some(chain.clone()), Some(*seq));
        }
    }
    search
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_happened_at_once_each_is_told_once() {
        let at = DateTime::from_timestamp_micros(1_768_467_600_000_000).unwrap();
        let last = (at, "billing-service".to_owned(), "aud_1".to_owned(), 7);
        let window = Window { after: Some(last), limit: 50 };
        let asked = |service| search_at(service, &AuditSearch::default(), &window);
        // Names sort from the greatest down: auth's is still to come, and patient's stood before.
        let later = asked(ServiceName::AuthService);
        assert_eq!(later.before_at, Some(at + TimeDelta::microseconds(1)));
        let same = asked(ServiceName::BillingService);
        assert_eq!(
            (same.before_at, same.before_chain.as_deref(), same.before_seq),
            (Some(at), Some("aud_1"), Some(7))
        );
        let earlier = asked(ServiceName::PatientService);
        assert_eq!((earlier.before_at, earlier.before_chain, earlier.before_seq), (Some(at), None, None));
    }
}
