//! The search index: what whoever reads it sees, and that of the version before.

use std::collections::BTreeMap;

use contracts::id::ProviderId;
use contracts::providers::ProviderFilter;
use db::Db;
use provider::domain::provider::Provider;
use provider::domain::search::Search;
use provider::store::provider::{provider_insert, provider_search};
use provider::store::renewal;

use super::*;

async fn insert(db: &Db, count: usize) {
    let request = serde_json::from_str(JANE).unwrap();
    let (_, jane) = Provider::add(&request, chrono_tz::Europe::Berlin, chrono::NaiveDate::default()).unwrap();
    let mut tx = db.begin().await.unwrap();
    for number in 0..count {
        let id = ProviderId::parse(&format!("prov{number}")).unwrap();
        provider_insert(&mut tx, db, &id, &jane).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn found(db: &Db, name: &str, specialization: &str) -> usize {
    let filter = ProviderFilter {
        name: Some(name.to_owned()),
        specialization: Some(specialization.to_owned()),
        limit: Some(200),
        ..ProviderFilter::default()
    };
    let mut tx = db.read().await.unwrap();
    provider_search(&mut tx, db, &Search::parse(&filter).unwrap()).await.unwrap().len()
}

testkit::on_both_engines! {
    migrations = provider::MIGRATIONS;
    service = ServiceName::ProviderService;

    async fn equal_specializations_are_not_equal_in_the_index(db: Db) {
        insert(&db, 50).await;
        let mut tx = db.read().await.unwrap();
        let tokens: Vec<String> = db::on!(tx, |conn| {
            sqlx::query_scalar("select token from search_term").fetch_all(conn).await.unwrap()
        });
        drop(tx);
        let mut counts = BTreeMap::<_, usize>::new();
        for token in tokens {
            *counts.entry(token).or_default() += 1;
        }
        // Of 50 in 1,024 chests two may share one; five do not.
        assert!(counts.values().all(|count| *count < 5), "{counts:?}");
        assert_eq!(found(&db, "doe", "cardiology").await, 50);
        assert_eq!(found(&db, "doe", "surgery").await, 0);
        assert_eq!(found(&db, "dr jane do", "cardiology").await, 0);
    }

    async fn who_was_added_by_the_version_before_is_found(db: Db) {
        insert(&db, 120).await;
        let mut tx = db.begin().await.unwrap();
        let token = db.vault().blind("specialization", "cardiology").unwrap();
        db::on!(tx, |conn| sqlx::query("insert into search_index (token, owner) select $1, id from provider")
            .bind(&token)
            .execute(conn)
            .await
            .map(drop))
        .unwrap();
        db::on!(tx, |conn| sqlx::query("delete from search_term").execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
        assert_eq!(found(&db, "jane", "cardiology").await, 0);
        http_kit::renewal::renew(&db, renewal::some).await.unwrap();
        assert_eq!(found(&db, "jane", "cardiology").await, 120);
        assert!(!renewal::some(db.clone()).await.unwrap());
    }
}
