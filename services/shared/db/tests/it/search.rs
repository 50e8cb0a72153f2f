//! Sealed rows found by words and values.

use contracts::problem::Faults;
use db::{Db, TERMS_MAX, Term, search_index_clear, search_index_put, search_tokens};

async fn owners(db: &Db, term: Term) -> Vec<String> {
    let token = &search_tokens(db, &[term]).unwrap().unwrap()[0];
    let mut tx = db.read().await.unwrap();
    db::on!(tx, |conn| sqlx::query_scalar("select owner from search_index where token = $1 order by owner")
        .bind(token)
        .fetch_all(conn)
        .await
        .unwrap())
}

async fn put(db: &Db, owner: &str, name: &str) {
    let mut tx = db.begin().await.unwrap();
    search_index_put(&mut tx, db, owner, Term::of_words("name", name)).await.unwrap();
    tx.commit().await.unwrap();
}

testkit::on_both_engines! {
    migrations = crate::MIGRATIONS;

    async fn a_row_is_found_by_its_present_words_and_their_beginnings(db: Db) {
        put(&db, "1", "Anna Anders-Annacker").await;
        put(&db, "2", "Annabel").await;
        assert_eq!(owners(&db, Term::new("name", "anna")).await, ["1", "2"]);
        assert_eq!(owners(&db, Term::new("name", "ander")).await, ["1"]);
        assert!(owners(&db, Term::new("name", "an")).await.is_empty());
        assert!(owners(&db, Term::new("street", "anna")).await.is_empty());
        put(&db, "1", "Berta").await;
        assert_eq!(owners(&db, Term::new("name", "anna")).await, ["2"]);
        let mut tx = db.begin().await.unwrap();
        search_index_clear(&mut tx, "2").await.unwrap();
        tx.commit().await.unwrap();
        assert!(owners(&db, Term::new("name", "anna")).await.is_empty());
    }

    async fn places_that_are_not_needed_ask_for_the_first_term_again(db: Db) {
        assert!(search_tokens(&db, &[]).unwrap().is_none());
        let tokens = search_tokens(&db, &[Term::new("name", "a"), Term::new("name", "b")]).unwrap().unwrap();
        assert_ne!(tokens[0], tokens[1]);
        assert!(tokens[2..].iter().all(|token| *token == tokens[0]));
    }
}

#[test]
fn a_search_asks_for_as_many_words_as_there_is_room_for() {
    let mut faults = Faults::new();
    assert_eq!(
        Term::sought_words("name", "John  DOE", TERMS_MAX, &mut faults),
        [Term::new("name", "john"), Term::new("name", "doe")]
    );
    assert!(faults.is_empty());
    for text in ["", " - ", "a b c"] {
        assert!(Term::sought_words("name", text, 2, &mut faults).is_empty());
    }
    assert_eq!(faults.into_problem().errors.len(), 3);
}
