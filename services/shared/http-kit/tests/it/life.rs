//! A service that stops, and one whose handler does not.

use std::time::Duration;

use http_kit::serve;
use reqwest::Client;
use settings::Address;
use testkit::TestDb;

use super::*;

fn client(address: &Address) -> Client {
    Client::builder().unix_socket(address.unix_path().unwrap().to_path_buf()).build().unwrap()
}

/// Status, and what the answer says of its connection.
async fn get(client: &Client, path: &str) -> Option<(u16, Option<String>)> {
    let answer = client.get(format!("http://service{path}")).send().await.ok()?;
    let connection = answer.headers().get("connection").map(|value| value.to_str().unwrap().to_owned());
    Some((answer.status().as_u16(), connection))
}

fn closing(status: u16) -> (u16, Option<String>) {
    (status, Some("close".to_owned()))
}

testkit::on_both_engines! {
    migrations = crate::no_tables();

    async fn one_that_lingers_is_not_ready_and_serves_all_the_same(test: TestDb) {
        let address = socket(&test);
        let settings = settings(test.settings().clone(), address.clone());
        let running = serve::start(service(no_tables()), settings, world(&test)).await.unwrap();
        let client = client(&address);
        for path in ["/livez", "/readyz", "/slow"] {
            assert_eq!(get(&client, path).await, Some((200, None)), "{path}");
        }
        running.linger();
        for (path, status) in [("/readyz", 503), ("/livez", 200), ("/slow", 200), ("/nothing", 404)] {
            assert_eq!(get(&client, path).await, Some(closing(status)), "{path}");
        }
        running.stop().await;
        assert_eq!(get(&client, "/livez").await, None);
    }

    async fn what_is_under_way_when_it_stops_is_finished(test: TestDb) {
        let address = socket(&test);
        let settings = settings(test.settings().clone(), address.clone());
        let running = serve::start(service(no_tables()), settings, world(&test)).await.unwrap();
        let client = client(&address);
        let slow = tokio::spawn(async move { get(&client, "/slow").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        running.stop().await;
        assert_eq!(slow.await.unwrap(), Some(closing(200)));
    }

    async fn a_panic_in_a_connection_ends_that_connection_alone(test: TestDb) {
        let address = socket(&test);
        let settings = settings(test.settings().clone(), address.clone());
        let running = serve::start(service(no_tables()), settings, world(&test)).await.unwrap();
        let client = client(&address);
        assert_eq!(get(&client, "/panic").await, None);
        assert_eq!(get(&client, "/slow").await, Some((200, None)));
        running.stop().await;
    }

    async fn an_older_version_starts_on_a_newer_versions_tables(test: TestDb) {
        let tables = [(1, "create table a (id text primary key)"), (2, "create table b (id text primary key)")];
        let (newer, older) = (migrations(&tables), migrations(&tables[..1]));
        for migrations in [newer, older] {
            let settings = settings(test.settings().clone(), socket(&test));
            let running = serve::start(service(migrations), settings, world(&test)).await.unwrap();
            assert_eq!(get(&client(&socket(&test)), "/readyz").await, Some((200, None)));
            running.stop().await;
        }
    }

    async fn pods_that_start_at_once_all_start(test: TestDb) {
        if test.db().engine() == db::Engine::Sqlite {
            return; // one process at a time
        }
        let set = migrations(&[(1, "create table a (id text primary key)"), (2, "create index on a (id)")]);
        let starting = (0..6).map(|pod| {
            let listen = Address(format!("unix:{}", test.dir().join(format!("{pod}.sock")).display()));
            serve::start(service(set), settings(test.settings().clone(), listen), world(&test))
        });
        for running in futures_util::future::try_join_all(starting).await.unwrap() {
            running.stop().await;
        }
    }
}
