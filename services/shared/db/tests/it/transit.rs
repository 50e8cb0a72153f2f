//! A transit engine keeps the key-encryption key: a real one, which is rotated, cut off, sealed, and taken the leave of.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use contracts::ambient::{Clock, Random};
use contracts::kek::kek_id;
use db::{Db, Error, OpenError, OpenTo, RewrapError, SealError, Subject};
use settings::{Encryption, KekProvider, ServiceName, Transit};
use testkit::{TestDb, TransitServer};
use tls::issue::{Signer, Subject as Named, Use, authority};

use crate::rewrap::{BODY, FIRST, SECOND, all_open, refused_as_retired, seal, sql};

pub(crate) fn by(provider: KekProvider, transit: Transit) -> Encryption {
    Encryption { provider, transit: Some(transit) }
}

pub(crate) fn hand_out(test: &TestDb, secret: &str, key: &str, value: &[u8]) {
    let dir = test.dir().join("secrets").join(secret);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(key), value).unwrap();
}

pub(crate) async fn open(test: &TestDb, encryption: &Encryption) -> Result<Db, OpenError> {
    let (secrets, clock) = (test.secrets(), test.clock().clone());
    let random = Random::seeded(Random::system().below(1 << 32));
    Db::open_to(
        OpenTo::Serve,
        ServiceName::PatientService,
        (test.settings(), encryption),
        secrets,
        (clock, random),
    )
    .await
}

pub(crate) async fn process(test: &TestDb, encryption: &Encryption) -> Db {
    let db = open(test, encryption).await.unwrap();
    db.migrate(&crate::MIGRATIONS).await.unwrap();
    db
}

/// A server, and a stack's database all of whose keys it wraps.
async fn scene(test: &TestDb) -> (TransitServer, Encryption, Db) {
    let server = TransitServer::start("clinic").await;
    hand_out(test, "transit", "token", server.token().await.as_bytes());
    let encryption = by(KekProvider::Transit, server.settings());
    let db = process(test, &encryption).await;
    db.rewrap().await.unwrap();
    (server, encryption, db)
}

fn people(names: &[&str]) -> impl Iterator<Item = String> {
    names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().into_iter()
}

pub(crate) fn is_silent<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::KeeperSilent { .. }))
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Sealed(SealError::KeeperRefused { why })) => why,
        other => panic!("{other:?}"),
    }
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn the_engine_wraps_and_what_it_wrapped_is_bound_to_whose_it_is(test: TestDb) {
        let (server, encryption, db) = scene(&test).await;
        let sealed = seal(&db, people(&["anna", "bert"])).await;
        assert_eq!(db.vault().kek_id().await.unwrap(), "transit/clinic:v1");
        // Theirs, and the index's, which the file's key had wrapped at first.
        assert_eq!(db.vault().keys_by_kek().await.unwrap(), [("transit/clinic:v1".to_owned(), 3)]);
        // Neither the engine's key nor the patients' is here, nor is a file's needed any more.
        std::fs::remove_dir_all(test.dir().join("secrets/kek")).unwrap();
        let other = process(&test, &encryption).await;
        all_open(&other, &sealed).await;
        other.close().await;

        let annas = "(select wrapped from data_key where subject = 'patient:anna')";
        sql(&test, &format!("update data_key set wrapped = {annas} where subject = 'patient:bert'")).await;
        let fresh = process(&test, &encryption).await;
        let refused = fresh.vault().open(&Subject::Patient("bert"), BODY, &sealed["bert"]).await;
        assert!(matches!(refused, Err(Error::Sealed(SealError::Refused))), "{refused:?}");
        // It is told when all are to be wrapped anew, and keeps none of the others from it.
        server.rotate().await;
        let RewrapError::Unopened(unopened) = fresh.rewrap().await.unwrap_err() else { panic!("altered") };
        assert_eq!(unopened["transit/clinic:v1"], db::Unopened { keys: 1, is_known: true });
        let counts = db.vault().keys_by_kek().await.unwrap();
        assert_eq!(counts, [("transit/clinic:v1".to_owned(), 1), ("transit/clinic:v2".to_owned(), 2)]);
        fresh.close().await;
        db.close().await;
    }

    async fn a_newer_version_wraps_what_comes_and_when_it_is_asked_everything(test: TestDb) {
        let (server, encryption, db) = scene(&test).await;
        let mut sealed = seal(&db, (0..450).map(|number| format!("p{number}"))).await;
        server.rotate().await;
        sealed.extend(seal(&db, people(&["anna"])).await);
        let counts = db.vault().keys_by_kek().await.unwrap();
        assert_eq!(counts, [("transit/clinic:v1".to_owned(), 451), ("transit/clinic:v2".to_owned(), 1)]);

        let late = process(&test, &encryption).await;
        let rewrapped = db.rewrap().await.unwrap();
        assert_eq!((rewrapped.kek_id.as_str(), rewrapped.anew, rewrapped.keys), ("transit/clinic:v2", 451, 452));
        // It asks the engine, which wraps under the newest: there is nothing to be late with.
        sealed.extend(seal(&late, people(&["bert"])).await);
        server.forget_before(2).await;
        let fresh = process(&test, &encryption).await;
        all_open(&fresh, &sealed).await;
        for db in [db, late, fresh] {
            db.ping().await.unwrap();
            db.close().await;
        }
    }

    async fn what_is_forgotten_too_early_is_told_as_what_it_is(test: TestDb) {
        let (server, encryption, db) = scene(&test).await;
        let sealed = seal(&db, people(&["anna"])).await;
        server.rotate().await;
        let fresh = process(&test, &encryption).await;
        server.forget_before(2).await;
        let why = refusal(fresh.vault().open(&Subject::Patient("anna"), BODY, &sealed["anna"]).await);
        assert!(why.contains("too old"), "{why}");
        server.forget_before(1).await;
        all_open(&fresh, &sealed).await;
        fresh.close().await;
        db.close().await;
    }

    async fn one_keeper_takes_the_place_of_the_other_and_back_while_both_are_at_work(test: TestDb) {
        let server = TransitServer::start("clinic").await;
        hand_out(&test, "transit", "token", server.token().await.as_bytes());
        // Every process knows the engine before any uses it.
        let old = process(&test, &by(KekProvider::Secret, server.settings())).await;
        let mut sealed = seal(&old, people(&["anna", "carl"])).await;
        let new = process(&test, &by(KekProvider::Transit, server.settings())).await;
        sealed.extend(seal(&new, people(&["bert"])).await);
        all_open(&old, &sealed).await;
        all_open(&new, &sealed).await;
        // What is gathered is taken from nobody: the old one goes on wrapping as it did.
        assert_eq!(new.gather_keys().await.unwrap(), 3);
        sealed.extend(seal(&old, people(&["dora"])).await);
        old.ping().await.unwrap();
        let rewrapped = new.rewrap().await.unwrap();
        assert_eq!((rewrapped.anew, rewrapped.keys), (1, 5));
        refused_as_retired(old.vault().seal(&Subject::Patient("emil"), BODY, b"x").await, FIRST);
        all_open(&old, &sealed).await;
        new.close().await;

        // Back, with another file's key, since nothing is ever wrapped again under one that was given up. It is made while the engine
        // wraps, by a rotation like any other.
        hand_out(&test, "kek", "current", SECOND);
        hand_out(&test, "kek", "previous", FIRST);
        let between = process(&test, &by(KekProvider::Transit, server.settings())).await;
        assert_eq!(between.rewrap().await.unwrap().anew, 0);
        between.close().await;
        let back = process(&test, &by(KekProvider::Secret, server.settings())).await;
        assert_eq!(back.rewrap().await.unwrap().anew, 5);
        drop(server);
        let without = process(&test, &Encryption::default()).await;
        all_open(&without, &sealed).await;
        assert_eq!(without.vault().keys_by_kek().await.unwrap(), [(kek_id(SECOND), 5)]);
        for db in [old, back, without] {
            db.close().await;
        }
    }

    async fn while_the_engine_is_away_who_was_here_is_read_and_who_is_new_waits(test: TestDb) {
        let (mut server, encryption, db) = scene(&test).await;
        let sealed = seal(&db, people(&["anna", "bert"])).await;
        let other = process(&test, &encryption).await;
        server.kill();
        // The rows are read again after a minute, and the keys need not be unwrapped again.
        test.clock().advance(TimeDelta::minutes(30));
        all_open(&db, &sealed).await;
        db.vault().seal(&Subject::Patient("anna"), BODY, b"more").await.unwrap();
        db.ping().await.unwrap();
        assert!(is_silent(db.vault().seal(&Subject::Patient("carl"), BODY, b"x").await));
        assert!(is_silent(other.vault().open(&Subject::Patient("anna"), BODY, &sealed["anna"]).await));
        // Nobody gets back what was destroyed, not even from memory.
        other.vault().destroy(&Subject::Patient("bert")).await.unwrap();
        test.clock().advance(TimeDelta::seconds(61));
        let gone = db.vault().open(&Subject::Patient("bert"), BODY, &sealed["bert"]).await;
        assert!(matches!(gone, Err(Error::KeyDestroyed { .. })), "{gone:?}");
        // Not for ever.
        test.clock().advance(TimeDelta::hours(4));
        assert!(is_silent(db.vault().open(&Subject::Patient("anna"), BODY, &sealed["anna"]).await));
        let refused = open(&test, &encryption).await.unwrap_err();
        assert!(matches!(refused, OpenError::Db(error) if error.is_passing()), "a start waits for it");

        server.run().await;
        let back = Instant::now();
        while db.vault().open(&Subject::Patient("anna"), BODY, &sealed["anna"]).await.is_err() {
            assert!(back.elapsed() < Duration::from_secs(15), "it is not asked again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        db.vault().seal(&Subject::Patient("carl"), BODY, b"x").await.unwrap();
        other.close().await;
        db.close().await;
    }

    async fn another_token_is_read_and_a_wrong_one_is_told(test: TestDb) {
        let (server, _, db) = scene(&test).await;
        hand_out(&test, "transit", "token", b"nobodys\n");
        let why = refusal(db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await);
        assert!(why.contains("403") && !why.contains("nobodys"), "{why}");
        std::fs::remove_file(test.dir().join("secrets/transit/token")).unwrap();
        let why = refusal(db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await);
        assert!(why.contains("transit/token"), "{why}");
        hand_out(&test, "transit", "token", format!("{}\n", server.token().await).as_bytes());
        db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await.unwrap();
        server.seal().await;
        assert!(is_silent(db.vault().seal(&Subject::Patient("bert"), BODY, b"x").await));
        server.unseal().await;
        db.vault().seal(&Subject::Patient("bert"), BODY, b"x").await.unwrap();
        db.close().await;
    }

    async fn over_tls_whoever_is_vouched_for_is_believed_and_nobody_else(test: TestDb) {
        let now = Clock::system().now();
        let valid = || now - TimeDelta::hours(1)..now + TimeDelta::days(1);
        let (ours, others) = (authority("ours", valid()).unwrap(), authority("others", valid()).unwrap());
        let signer = Signer::new("ours", &ours.key).unwrap();
        let named = Named { name: "transit", hosts: vec!["127.0.0.1".to_owned()], uses: &[Use::Server] };
        let shown = signer.issue(named, valid()).unwrap();
        let tls = (shown.certificate.as_str(), shown.key.as_str(), ours.certificate.as_str());
        let server = TransitServer::start_with_tls("clinic", tls).await;
        hand_out(&test, "transit", "token", server.token().await.as_bytes());
        hand_out(&test, "transit", "ca.crt", others.certificate.as_bytes());
        let db = process(&test, &by(KekProvider::Transit, server.settings())).await;
        let refused = db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await.unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
        // The authority is read again, like the token.
        hand_out(&test, "transit", "ca.crt", ours.certificate.as_bytes());
        db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await.unwrap();
        hand_out(&test, "transit", "ca.crt", b"no certificate");
        let why = refusal(db.vault().seal(&Subject::Patient("bert"), BODY, b"x").await);
        assert!(why.contains("ca.crt"), "{why}");
        db.close().await;

        let in_the_clear = Transit { address: "http://vault.example.org:8200".to_owned(), ..server.settings() };
        let refused = open(&test, &by(KekProvider::Transit, in_the_clear)).await.unwrap_err();
        assert!(refused.to_string().contains("https"), "{refused}");
    }

    async fn one_that_hangs_is_waited_for_no_longer_than_whoever_asked_waits_and_then_given_a_rest(test: TestDb) {
        let (server, _, db) = scene(&test).await;
        server.signal("STOP");
        let ask = || async {
            let begun = Instant::now();
            assert!(is_silent(db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await));
            begun.elapsed()
        };
        let until = Some(Instant::now() + Duration::from_millis(300));
        assert!(contracts::deadline::within(until, ask()).await < Duration::from_millis(1_500));
        let (mut asked, mut took) = (0, Duration::MAX);
        while took > Duration::from_millis(500) {
            took = ask().await;
            assert!(took < Duration::from_secs(6), "{took:?}");
            asked += 1;
            assert!(asked < 5, "it is asked on and on");
        }
        server.signal("CONT");
        let back = Instant::now();
        while db.vault().seal(&Subject::Patient("anna"), BODY, b"x").await.is_err() {
            assert!(back.elapsed() < Duration::from_secs(15), "it is not asked again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        db.close().await;
    }
}
