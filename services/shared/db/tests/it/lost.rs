//! A machine that is gone without a word, with rows locked: its sessions end within seconds, whatever they were at.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::ambient::{Clock, Random};
use db::{Db, Secrets};
use settings::{Database, SecretRef, ServiceName};
use socket2::{SockFilter, SockRef, Socket};
use testkit::postgres::tls_url;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::visit::{Visit, visit_insert, visit_move};

/// Well before the limits of a session that is idle or waits would end it, and longer than one that waits for a lock may.
const LET_GO_IN: Duration = Duration::from_secs(12);

/// A machine on the way to the server, whose power can be cut.
struct Machine {
    sockets: Arc<Mutex<Vec<Socket>>>,
    address: SocketAddr,
}

impl Machine {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let machine = Self { sockets: Arc::default(), address: listener.local_addr().unwrap() };
        let sockets = Arc::clone(&machine.sockets);
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let mut outer = TcpStream::connect(&server).await.unwrap();
                sockets.lock().unwrap().push(SockRef::from(&outer).try_clone().unwrap());
                tokio::spawn(async move { copy_bidirectional(&mut inner, &mut outer).await });
            }
        });
        machine
    }

    /// From now on nothing that the server sends gets here, and nobody tells it: not even that a packet came. What is sent from here still leaves,
    /// so that the server can be at work when it happens.
    fn lose_power(&self) {
        const DROP_ALL: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];
        for socket in self.sockets.lock().unwrap().iter() {
            socket.attach_filter(&DROP_ALL).unwrap();
        }
    }
}

async fn open(schema: &str, authority: &str) -> Db {
    let dir = tempfile::tempdir().unwrap();
    for (secret, key, value) in [
        ("kek", "current", "a test's key-encryption key: 32B".to_owned()),
        ("database", "url", format!("postgres://postgres@{authority}/postgres")),
    ] {
        std::fs::create_dir_all(dir.path().join(secret)).unwrap();
        std::fs::write(dir.path().join(secret).join(key), value).unwrap();
    }
    let database = Database::Postgres {
        url: SecretRef { secret: "database".to_owned(), key: "url".to_owned() },
        schema: schema.to_owned(),
        keys_schema: format!("{schema}_keys"),
        max_connections: 4,
    };
    let secrets = Secrets::new(dir.path());
    Db::open(ServiceName::PatientService, &database, &secrets, Clock::system(), Random::seeded(1))
        .await
        .unwrap()
}

/// Locks a row on a machine that loses its power, there or at its next statement, and changes the row from elsewhere.
async fn lose_a_machine(schema: &str, while_it_waits_for_an_answer: bool) {
    let url = tls_url();
    let server = url.split(['@', '/']).nth(3).unwrap().to_owned();
    let machine = Machine::before(server.clone()).await;
    let (lost, other) = (open(schema, &machine.address.to_string()).await, open(schema, &server).await);
    other.migrate(&crate::MIGRATIONS).await.unwrap();
    let mut tx = other.begin().await.unwrap();
    visit_insert(&mut tx, &Visit::new("v", 0)).await.unwrap();
    tx.commit().await.unwrap();

    let mut holding = lost.begin().await.unwrap();
    visit_move(&mut holding, "v").await.unwrap();
    machine.lose_power();
    let mut waiting = Box::pin(visit_move(&mut holding, "v"));
    if while_it_waits_for_an_answer {
        let answered = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
        assert!(answered.is_err(), "an answer came through: {answered:?}");
    }

    let change = async {
        loop {
            let mut tx = other.begin().await.unwrap();
            match visit_move(&mut tx, "v").await {
                Ok(()) => break tx.commit().await.unwrap(),
                // It waited as long as a statement may.
                Err(error) => drop(error),
            }
        }
    };
    tokio::time::timeout(LET_GO_IN, change).await.expect("the row is let go of");
}

#[tokio::test]
async fn a_machine_that_is_lost_between_two_statements_holds_no_row() {
    lose_a_machine("lost_idle", false).await;
}

#[tokio::test]
async fn a_machine_that_is_lost_while_it_is_answered_holds_no_row() {
    lose_a_machine("lost_answered", true).await;
}
