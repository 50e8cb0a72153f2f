//! Sealed rows found by words and values, and what whoever reads the index sees.

use std::collections::{BTreeMap, BTreeSet};

use contracts::problem::Faults;
use db::{Db, Term, search_terms_clear, search_terms_put, search_tokens};
use testkit::TestDb;

async fn owners(db: &Db, terms: &[Term]) -> Vec<String> {
    let tokens = search_tokens(db, terms).unwrap().unwrap();
    let tokens: Vec<_> = tokens.as_bytes().chunks(32).map(|pair| pair.split_at(16)).collect();
    let owners = |rows: &[(String, String)], token: &[u8]| -> BTreeSet<String> {
        rows.iter().filter(|row| row.0.as_bytes() == token).map(|row| row.1.clone()).collect()
    };
    let rows = rows(db).await;
    let found = tokens.iter().map(|(one, other)| &owners(&rows, one) & &owners(&rows, other));
    found.reduce(|all, found| &all | &found).unwrap().into_iter().collect()
}

async fn rows(db: &Db) -> Vec<(String, String)> {
    let mut tx = db.read().await.unwrap();
    db::on!(tx, |conn| sqlx::query_as("select token, owner from search_term").fetch_all(conn).await.unwrap())
}

async fn put(db: &Db, owner: &str, terms: Vec<Term>) {
    let mut tx = db.begin().await.unwrap();
    search_terms_put(&mut tx, db, owner, terms).await.unwrap();
    tx.commit().await.unwrap();
}

async fn put_name(db: &Db, owner: &str, name: &str) {
    put(db, owner, Term::of_words("name", name)).await;
}

fn name(word: &str) -> Term {
    Term::new("name", word)
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn a_row_is_found_by_its_present_words_and_their_beginnings(db: Db) {
        put_name(&db, "1", "Anna Anders-Annacker").await;
        put_name(&db, "2", "Annabel").await;
        assert_eq!(owners(&db, &[name("anna")]).await, ["1", "2"]);
        assert_eq!(owners(&db, &[name("ander")]).await, ["1"]);
        assert_eq!(owners(&db, &[name("anna"), name("anders")]).await, ["1"]);
        assert!(owners(&db, &[name("annabel"), name("anders")]).await.is_empty());
        assert!(owners(&db, &[name("an")]).await.is_empty());
        assert!(owners(&db, &[Term::new("street", "anna")]).await.is_empty());
        put_name(&db, "1", "Berta").await;
        assert_eq!(owners(&db, &[name("anna")]).await, ["2"]);
        let mut tx = db.begin().await.unwrap();
        search_terms_clear(&mut tx, "2").await.unwrap();
        tx.commit().await.unwrap();
        assert!(owners(&db, &[name("anna")]).await.is_empty());
    }

    async fn every_term_of_a_long_name_stands_there_once(db: Db) {
        let terms: Vec<_> = (0..2500).map(|number| name(&number.to_string())).collect();
        put(&db, "1", terms.iter().chain(&terms).cloned().collect()).await;
        assert_eq!(rows(&db).await.len(), terms.len());
        for number in ["0", "31", "32", "1023", "1024", "2499"] {
            assert_eq!(owners(&db, &[name(number)]).await, ["1"], "{number}");
        }
        put(&db, "1", Vec::new()).await;
        assert!(rows(&db).await.is_empty());
    }

    async fn equal_names_are_told_apart_by_whoever_reads_the_index(db: Db) {
        for owner in 0..64 {
            put_name(&db, &format!("pat_{owner}"), "Maria Schmidt").await;
        }
        let mut counts = BTreeMap::<String, usize>::new();
        for (token, _) in rows(&db).await {
            *counts.entry(token).or_default() += 1;
        }
        // Of 64 in 1,024 chests two may share one; five do not.
        assert!(counts.values().all(|count| *count < 5), "{counts:?}");
        assert!(counts.len() > 64 * 8 * 3 / 4, "{}", counts.len());
        assert_eq!(owners(&db, &[name("maria"), name("schmi")]).await.len(), 64);
    }

    async fn what_is_unique_has_one_token_and_leads(db: Db) {
        for owner in ["1", "2"] {
            put(&db, owner, vec![Term::unique("phone", "+491"), name("anna")]).await;
        }
        assert!(search_tokens(&db, &[]).unwrap().is_none());
        let lead = search_tokens(&db, &[name("anna"), Term::unique("phone", "+491")]).unwrap().unwrap();
        assert_eq!(lead.len(), 32);
        assert_eq!(owners(&db, &[Term::unique("phone", "+491")]).await, ["1", "2"]);
        assert_ne!(lead, search_tokens(&db, &[Term::unique("mail", "+491")]).unwrap().unwrap());
    }

    async fn tokens_are_the_same_after_a_restart(test: TestDb) {
        put_name(test.db(), "1", "Anna").await;
        let again = test.open_again().await;
        assert_eq!(owners(&again, &[name("anna")]).await, ["1"]);
        again.close().await;
    }
}

#[test]
fn a_search_asks_for_as_many_words_as_there_may_be() {
    let mut faults = Faults::new();
    assert_eq!(Term::sought_words("name", "John  DOE", &mut faults), [name("john"), name("doe")]);
    assert!(faults.is_empty());
    for text in ["", " - ", "a b c d e f g"] {
        assert!(Term::sought_words("name", text, &mut faults).is_empty());
    }
    assert_eq!(faults.into_problem().errors.len(), 3);
}

#[test]
fn a_word_and_its_beginnings_stand_for_the_same_beside_something_frequent() {
    for word in ["mar", "mari", "maria"] {
        assert_eq!(name(word).together("birth", "1980-01-01"), Term::new("birth", "mar 1980-01-01"));
    }
    assert_eq!(name("li").together("birth", "1980-01-01"), Term::new("birth", "li 1980-01-01"));
}
