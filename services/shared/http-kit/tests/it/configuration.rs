//! Settings that are others than before stand in the audit.

use std::time::Duration;

use db::{AuditFilter, AuditOutcome, FoundEntry, audit_find};
use http_kit::serve;
use settings::ServiceSettings;
use testkit::TestDb;

use super::*;

async fn told(test: &TestDb) -> Vec<FoundEntry> {
    let filter =
        AuditFilter { operation: Some("change_settings".to_owned()), limit: 100, ..AuditFilter::default() };
    audit_find(test.db(), &filter).await.unwrap()
}

async fn text(test: &TestDb) -> Option<String> {
    let mut tx = test.db().read().await.unwrap();
    let told = db::last_told(&mut tx, test.db(), "settings").await.unwrap()?;
    Some(String::from_utf8(told.text).unwrap())
}

/// Runs a service with settings until it has told that they are so.
async fn runs(test: &TestDb, settings: &ServiceSettings) {
    let running = serve::start(service(no_tables()), settings.clone(), world(test)).await.unwrap();
    let currency = format!(r#""currency":"{}""#, settings.currency);
    let until_told = async {
        while !text(test).await.is_some_and(|text| text.contains(&currency)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), until_told).await.expect("it tells with what it runs");
    running.stop().await;
}

testkit::on_both_engines! {
    migrations = crate::no_tables();

    async fn settings_that_are_others_than_before_are_an_entry_and_the_first_and_the_same_are_none(test: TestDb) {
        let mut settings = settings(test.settings().clone(), socket(&test));
        runs(&test, &settings).await;
        settings.listen = Address(format!("unix:{}", test.dir().join("other.sock").display()));
        runs(&test, &settings).await;
        assert!(told(&test).await.is_empty(), "where it listens is nobody's choice");

        settings.auth.access_token_seconds = 300;
        "CHF".clone_into(&mut settings.currency);
        runs(&test, &settings).await;
        runs(&test, &settings).await;
        let entries = told(&test).await;
        assert_eq!(entries.len(), 1);
        let entry = &entries[0].entry;
        assert_eq!((entry.who.as_str(), entry.outcome), ("service:patient-service", AuditOutcome::Done));
        assert_eq!(entry.reason.as_deref(), Some("auth.accessTokenSeconds, currency"));
    }

    async fn of_many_that_start_at_once_with_other_settings_one_tells(test: TestDb) {
        if test.db().engine() == db::Engine::Sqlite {
            return; // one process at a time
        }
        let mut settings = settings(test.settings().clone(), socket(&test));
        runs(&test, &settings).await;
        "CHF".clone_into(&mut settings.currency);
        let starting = (0..6).map(|pod| {
            let listen = Address(format!("unix:{}", test.dir().join(format!("{pod}.sock")).display()));
            serve::start(service(no_tables()), ServiceSettings { listen, ..settings.clone() }, world(&test))
        });
        let pods = futures_util::future::try_join_all(starting).await.unwrap();
        runs(&test, &settings).await;
        for pod in pods {
            pod.stop().await;
        }
        assert_eq!(told(&test).await.len(), 1);
    }
}
