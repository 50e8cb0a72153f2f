//! What is kept of second factors, and that of many at once one uses a code.

use auth::domain::recovery_code::RecoveryCode;
use auth::domain::second_factor::Code;
use auth::guard::Guard;
use auth::store::recovery_code::{recovery_code_spend, recovery_codes_give};
use auth::store::second_factor::{
    Offer, second_factor_enrol, second_factor_find, second_factor_offer, second_factor_purge,
    second_factor_spend,
};
use contracts::id::UserId;
use db::Db;

use super::*;

/// An account with a second factor, without any service.
async fn account(db: &Db) -> (UserId, Totp) {
    let id = auth::seed::user(db, "jane.roe", PASSWORD, &[Role::Billing]).await.unwrap();
    let totp = Totp::generate(db.random());
    let mut tx = db.begin().await.unwrap();
    let offer = Offer { totp: totp.clone(), until: tx.now() + TimeDelta::minutes(15) };
    second_factor_offer(&mut tx, db, &id, &offer).await.unwrap();
    second_factor_enrol(&mut tx, db, &id, &totp, 1).await.unwrap();
    tx.commit().await.unwrap();
    (id, totp)
}

/// How many of fifty that do the same at once are told that it was they.
async fn of_fifty<F>(work: impl Fn() -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut done = 0;
    for one in (0..50).map(|_| tokio::spawn(work())).collect::<Vec<_>>() {
        done += usize::from(one.await.unwrap());
    }
    done
}

testkit::on_both_engines! {
    migrations = auth::MIGRATIONS;
    service = ServiceName::AuthService;

    async fn a_code_that_fifty_use_at_once_is_used_by_one(db: Db) {
        let (id, _) = account(&db).await;
        let recovery = RecoveryCode::generate(db.random());
        let mut tx = db.begin().await.unwrap();
        recovery_codes_give(&mut tx, &db, &id, std::slice::from_ref(&recovery)).await.unwrap();
        tx.commit().await.unwrap();
        let by_app = of_fifty(|| {
            let (db, id) = (db.clone(), id.clone());
            async move {
                db::retrying(&db, async |mut tx| {
                    let spent = second_factor_spend(&mut tx, &id, 7).await?;
                    tx.commit().await?;
                    Ok::<_, db::Error>(spent)
                })
                .await
                .unwrap()
            }
        });
        assert_eq!(by_app.await, 1);
        let by_recovery = of_fifty(|| {
            let (db, id, code) = (db.clone(), id.clone(), recovery.clone());
            async move {
                db::retrying(&db, async |mut tx| {
                    let spent = recovery_code_spend(&mut tx, &db, &id, &code).await?;
                    tx.commit().await?;
                    Ok::<_, db::Error>(spent)
                })
                .await
                .unwrap()
            }
        });
        assert_eq!(by_recovery.await, 1);
        let mut tx = db.begin().await.unwrap();
        for (step, is_good) in [(7, false), (6, false), (8, true)] {
            assert_eq!(second_factor_spend(&mut tx, &id, step).await.unwrap(), is_good, "{step}");
        }
    }

    async fn what_is_kept_is_sealed_and_hashed(db: Db) {
        let (id, totp) = account(&db).await;
        let codes: Vec<_> = (0..10).map(|_| RecoveryCode::generate(db.random())).collect();
        let mut tx = db.begin().await.unwrap();
        recovery_codes_give(&mut tx, &db, &id, &codes).await.unwrap();
        let offer = Offer { totp: Totp::generate(db.random()), until: tx.now() + TimeDelta::minutes(15) };
        second_factor_offer(&mut tx, &db, &id, &offer).await.unwrap();
        assert_eq!(second_factor_find(&mut tx, &db, &id).await.unwrap().unwrap().totp, totp, "an offer changes nothing");
        let (secret, offered): (Vec<u8>, Vec<u8>) =
            db::on!(tx, |conn| sqlx::query_as("select secret, offer from second_factor").fetch_one(conn).await).unwrap();
        let hashes: Vec<Vec<u8>> =
            db::on!(tx, |conn| sqlx::query_scalar("select hash from recovery_code").fetch_all(conn).await).unwrap();
        let holds = |kept: &[u8], bytes: &[u8]| kept.windows(bytes.len()).any(|window| window == bytes);
        assert!(!holds(&secret, totp.bytes()) && !holds(&offered, offer.totp.bytes()));
        for (code, hash) in codes.iter().flat_map(|code| hashes.iter().map(move |hash| (code, hash))) {
            assert!(matches!(Code::parse(code.as_str()), Some(Code::Recovery(_))));
            assert_ne!(*hash, aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, code.as_str().as_bytes()).as_ref());
            assert!(!holds(hash, code.as_str().as_bytes()));
        }
        assert_eq!(hashes.len(), 10);
    }

    async fn what_nobody_confirmed_goes_and_what_is_enrolled_stays(db: Db) {
        let (id, totp) = account(&db).await;
        let other = auth::seed::user(&db, "john.roe", PASSWORD, &[Role::Billing]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        for account in [&id, &other] {
            let offer = Offer { totp: Totp::generate(db.random()), until: tx.now() };
            second_factor_offer(&mut tx, &db, account, &offer).await.unwrap();
        }
        second_factor_purge(&mut tx).await.unwrap();
        assert_eq!(second_factor_find(&mut tx, &db, &id).await.unwrap().unwrap().totp, totp);
        let left: Vec<(String, Option<Vec<u8>>)> =
            db::on!(tx, |conn| sqlx::query_as("select account_id, offer from second_factor").fetch_all(conn).await).unwrap();
        assert_eq!(left, [(id.to_string(), None)]);
    }

    async fn a_clinic_behind_one_address_logs_in_by_two_steps(db: Db) {
        let guard = Guard::new(&db);
        for at in 0..150 {
            let admitted = guard.admit(&format!("user{}", at % 20), Some("192.0.2.1")).await.unwrap();
            guard.halfway(&admitted.unwrap()).await.unwrap();
        }
        assert!(guard.admit("user0", Some("192.0.2.1")).await.unwrap().is_some());
        for _ in 0..10 {
            let _ = guard.admit("user0", Some("192.0.2.1")).await.unwrap();
        }
        assert!(guard.admit("user0", Some("192.0.2.1")).await.unwrap().is_none(), "the account's tries stay taken");
    }
}
