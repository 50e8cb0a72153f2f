//! The search index: what is found by it, and what whoever reads it sees.

use std::collections::BTreeSet;

use contracts::ambient::Random;
use contracts::id::PatientId;
use contracts::patients::{PatientFilter, PatientRegistration};
use db::Db;
use patient::domain::patient::Patient;
use patient::domain::search::Search;
use patient::store::patient::{patient_delete, patient_insert, patient_search, patient_update};
use patient::store::renewal;
use serde_json::json;
use testkit::TestDb;

fn parsed(name: &str, dob: &str, phone: &str, email: Option<&str>) -> Patient {
    let registration: PatientRegistration = serde_json::from_value(json!({
        "name": name, "dob": dob, "contactInfo": {"phone": phone, "email": email}
    }))
    .unwrap();
    let today = chrono::NaiveDate::from_ymd_opt(2026, 1, 15).unwrap();
    Patient::register(&registration, today).unwrap().1
}

async fn insert(db: &Db, id: &str, patient: &Patient) {
    let mut tx = db.begin().await.unwrap();
    patient_insert(&mut tx, db, &PatientId::parse(id).unwrap(), patient).await.unwrap();
    tx.commit().await.unwrap();
}

/// The ids that a search finds, page after page.
pub(crate) async fn found(db: &Db, filter: &PatientFilter) -> Vec<String> {
    let (mut ids, mut filter) = (Vec::new(), filter.clone());
    loop {
        let search = Search::parse(&filter).unwrap();
        let mut tx = db.read().await.unwrap();
        let page = search.window.page(patient_search(&mut tx, db, &search, None).await.unwrap());
        ids.extend(page.items.iter().flatten().map(|kept| kept.id.to_string()));
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return ids,
        }
    }
}

pub(crate) fn named(name: &str) -> PatientFilter {
    PatientFilter { name: Some(name.to_owned()), ..PatientFilter::default() }
}

/// Every token with its patient.
async fn tokens(db: &Db) -> Vec<(String, String)> {
    let mut tx = db.read().await.unwrap();
    db::on!(tx, |conn| sqlx::query_as("select owner, token from search_term").fetch_all(conn).await.unwrap())
}

async fn tokens_of(db: &Db, id: &str) -> BTreeSet<String> {
    tokens(db).await.into_iter().filter(|(owner, _)| owner == id).map(|(_, token)| token).collect()
}

pub(crate) async fn old_owners(db: &Db) -> Vec<String> {
    let mut tx = db.read().await.unwrap();
    db::search_index_old(&mut tx, 10_000).await.unwrap()
}

/// Leaves a patient as the version before left them.
async fn make_old(db: &Db, id: &str, patient: &Patient) {
    let mut terms: Vec<_> =
        db::Term::of_words("name", &patient.name).into_iter().map(|term| ("name", term.value)).collect();
    terms.push(("dob", patient.dob.to_string()));
    terms.extend(patient.contact.phone.as_ref().map(|phone| ("phone", phone.as_str().to_owned())));
    terms.sort();
    terms.dedup();
    let mut tx = db.begin().await.unwrap();
    db::search_terms_clear(&mut tx, id).await.unwrap();
    for (field, value) in terms {
        let token = db.vault().blind(field, &value).unwrap();
        db::on!(tx, |conn| sqlx::query("insert into search_index (token, owner) values ($1, $2)")
            .bind(&token)
            .bind(id)
            .execute(conn)
            .await
            .map(drop))
        .unwrap();
    }
    tx.commit().await.unwrap();
}

/// A patient as the version before registers them.
pub(crate) async fn register_old(db: &Db, id: &str) {
    let maria = parsed("Maria Schmidt", "1980-01-01", "+49300001", None);
    insert(db, id, &maria).await;
    make_old(db, id, &maria).await;
}

const GIVEN: [&str; 10] = [
    "José",
    "Josephine",
    "Łukasz",
    "Li",
    "Anne-Marie",
    "ANNA",
    "Annabel",
    "Jo",
    "Christopherson-Maximiliane",
    "Ægir",
];
const FAMILY: [&str; 8] =
    ["Núñez", "Nunes", "O'Brien", "Weiß", "Weissmüller", "Li", "Świątek", "van der Berg"];
const DATES: [&str; 4] = ["1980-01-01", "1980-01-02", "1999-12-31", "2024-02-29"];
const SOUGHT: [&str; 22] = [
    "jos",
    "jose",
    "josé",
    "JOSEPHINE",
    "joseph",
    "lukasz",
    "li",
    "anne",
    "anna",
    "ann",
    "an",
    "marie",
    "mar",
    "nun",
    "NÚÑ",
    "brien",
    "weiss",
    "weissmuller",
    "christophersonm",
    "der",
    "swi",
    "aegir",
];

struct Draw(Random);

impl Draw {
    fn of<'a>(&self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.0.below(from.len() as u64)).unwrap()]
    }

    fn one_in(&self, count: u64) -> bool {
        self.0.below(count) == 0
    }

    fn patient(&self) -> Patient {
        let mut name = format!("{} {}", self.of(&GIVEN), self.of(&FAMILY));
        if self.one_in(3) {
            name = format!("{} {name}", self.of(&GIVEN));
        }
        let phone = format!("+4930{:06}", self.0.below(20) + 100_000);
        let email = self.one_in(2).then(|| format!("Mail{}@example.com", self.0.below(20)));
        parsed(&name, self.of(&DATES), &phone, email.as_deref())
    }

    fn filter(&self) -> PatientFilter {
        let words = (0..=self.0.below(3)).map(|_| self.of(&SOUGHT)).collect::<Vec<_>>().join(" ");
        let mut filter =
            PatientFilter { limit: Some(u32::try_from(self.0.below(7) + 1).unwrap()), ..named(&words) };
        filter.dob = self.one_in(2).then(|| self.of(&DATES).to_owned());
        if self.one_in(4) {
            filter.phone = Some(format!("+4930{:06}", self.0.below(20) + 100_000));
            filter.name = filter.name.filter(|_| self.one_in(2));
        }
        if self.one_in(6) {
            filter.email = Some(format!("mAIL{}@example.com", self.0.below(20)));
            filter.name = filter.name.filter(|_| self.one_in(2));
        }
        filter
    }
}

/// Whether it is this patient, by their data alone.
fn is_meant(filter: &PatientFilter, patient: &Patient) -> bool {
    let words = contracts::field::normalised_words(&patient.name);
    let is_there = |sought: &String| {
        let is_beginning =
            |word: &String| (3..=16).contains(&sought.chars().count()) && word.starts_with(sought.as_str());
        words.iter().any(|word| word == sought || is_beginning(word))
    };
    let contact = patient.contact.to_info();
    filter.name.as_ref().is_none_or(|name| contracts::field::normalised_words(name).iter().all(is_there))
        && filter.dob.as_ref().is_none_or(|dob| *dob == patient.dob.to_string())
        && filter.phone.as_ref().is_none_or(|phone| contact.phone.as_ref() == Some(phone))
        && filter
            .email
            .as_ref()
            .is_none_or(|email| contact.email.map(|it| it.to_lowercase()) == Some(email.to_lowercase()))
}

testkit::on_both_engines! {
    migrations = patient::MIGRATIONS;

    async fn what_is_found_by_the_index_is_what_is_found_by_looking_at_everybody(test: TestDb) {
        let (db, draw) = (test.db(), Draw(Random::seeded(11)));
        let mut everybody = Vec::new();
        for number in 0..120 {
            test.clock().advance(chrono::TimeDelta::seconds(i64::from(draw.one_in(2))));
            let (id, patient) = (format!("p{:03}", (number * 37) % 120), draw.patient());
            insert(db, &id, &patient).await;
            everybody.push(((test.clock().now(), id), patient));
        }
        everybody.sort_by(|one, other| other.0.cmp(&one.0));
        let mut hits = 0;
        for _ in 0..150 {
            let filter = draw.filter();
            let meant = everybody.iter().filter(|(_, patient)| is_meant(&filter, patient));
            let meant: Vec<_> = meant.map(|((_, id), _)| id.clone()).collect();
            assert_eq!(found(db, &filter).await, meant, "{filter:?}");
            hits += meant.len();
        }
        assert!(hits > 150, "{hits}");
    }

    async fn who_is_behind_many_that_differ_in_the_rest_is_found(test: TestDb) {
        let db = test.db();
        insert(db, "li", &parsed("Maria Schmidt Li", "1980-01-01", "+49300001", None)).await;
        let maria = parsed("Maria Schmidt", "1980-01-01", "+49300002", None);
        for number in 0..150 {
            test.clock().advance(chrono::TimeDelta::seconds(1));
            insert(db, &format!("p{number}"), &maria).await;
        }
        for limit in [1, 50, 200] {
            let filter = PatientFilter { limit: Some(limit), ..named("maria schmidt li") };
            assert_eq!(found(db, &filter).await, ["li"], "{limit}");
        }
        assert_eq!(found(db, &named("maria schmidt")).await.len(), 151);
    }

    async fn equal_names_and_birth_dates_are_not_equal_in_the_index(db: Db) {
        // Of one name and one birth date; nobody has the other's phone.
        for number in 0..40 {
            insert(&db, &format!("p{number}"), &parsed("Maria Schmidt", "1980-01-01", &format!("+4930{number:03}"), None)).await;
        }
        let all = tokens(&db).await;
        let of = |number: usize| -> BTreeSet<_> {
            all.iter().filter(|(owner, _)| *owner == format!("p{number}")).map(|(_, token)| token).collect()
        };
        // Two of a chest share all that stands in it: mar, mari, maria, sch … schmidt, and the birth date beside each of both words.
        let mut neighbours = 0;
        for one in 0..40 {
            for other in 0..one {
                let shared = (&of(one) & &of(other)).len();
                assert!(shared == 0 || shared == 10, "p{one} and p{other} share {shared}");
                neighbours += usize::from(shared != 0);
            }
        }
        // Of 780 pairs, one in 1,024 is to be expected.
        assert!(neighbours <= 5, "{neighbours}");
        assert_eq!(found(&db, &PatientFilter { dob: Some("1980-01-01".to_owned()), ..named("maria") }).await.len(), 40);
    }

    async fn a_birth_date_alone_is_nowhere_in_the_index(db: Db) {
        insert(&db, "a", &parsed("Anna Berg", "1980-01-01", "+49300001", None)).await;
        let before = tokens_of(&db, "a").await;
        // ann, anna, ber, berg, and the birth date beside each of both words; the phone.
        assert_eq!(before.len(), 7);
        let mut tx = db.begin().await.unwrap();
        let other = parsed("Olaf Stein", "1980-01-01", "+49300002", None);
        assert!(patient_update(&mut tx, &db, &PatientId::parse("a").unwrap(), 1, &other).await.unwrap());
        tx.commit().await.unwrap();
        assert!(before.is_disjoint(&tokens_of(&db, "a").await), "the same patient, the same chest, the same birth date");
    }

    async fn who_was_registered_by_the_version_before_is_found(test: TestDb) {
        let db = test.db();
        for number in 0..150 {
            let patient = parsed("Maria Schmidt", "1980-01-01", &format!("+4930{number:03}"), None);
            let id = format!("p{number:03}");
            insert(db, &id, &patient).await;
            make_old(db, &id, &patient).await;
        }
        let filter = PatientFilter { dob: Some("1980-01-01".to_owned()), ..named("maria schm") };
        assert!(found(db, &filter).await.is_empty());
        // Killed after the first of them; then two start at once.
        assert!(renewal::some(db.clone()).await.unwrap());
        assert_eq!(old_owners(db).await.len(), 50);
        let other = test.open_again().await;
        let (one, two) = tokio::join!(
            http_kit::renewal::renew(db, renewal::some),
            http_kit::renewal::renew(&other, renewal::some),
        );
        one.unwrap();
        two.unwrap();
        other.close().await;
        assert!(old_owners(db).await.is_empty());
        assert_eq!(found(db, &filter).await.len(), 150);
        let phone = PatientFilter { phone: Some("+4930007".to_owned()), ..PatientFilter::default() };
        assert_eq!(found(db, &phone).await, ["p007"]);
        assert!(!renewal::some(db.clone()).await.unwrap());
    }

    async fn who_is_changed_meanwhile_is_found_as_they_are(test: TestDb) {
        let (db, id) = (test.db(), PatientId::parse("a").unwrap());
        let anna = parsed("Anna Berg", "1980-01-01", "+49300001", None);
        insert(db, "a", &anna).await;
        make_old(db, "a", &anna).await;
        let mut tx = db.begin().await.unwrap();
        assert!(patient_update(&mut tx, db, &id, 1, &parsed("Berta Berg", "1980-01-01", "+49300001", None)).await.unwrap());
        let at_once = tokio::spawn(renewal::some(db.clone()));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        tx.commit().await.unwrap();
        assert!(at_once.await.unwrap().unwrap());
        assert_eq!(found(db, &named("berta")).await, ["a"]);
        assert!(found(db, &named("anna")).await.is_empty());
    }

    async fn who_is_deleted_is_found_by_nothing(test: TestDb) {
        let db = test.db();
        let anna = parsed("Anna Berg", "1980-01-01", "+49300001", None);
        for id in ["a", "b", "c"] {
            insert(db, id, &anna).await;
        }
        let mut tx = db.begin().await.unwrap();
        assert!(patient_delete(&mut tx, &PatientId::parse("a").unwrap(), 1).await.unwrap());
        // As the version before deletes.
        let now = tx.now();
        db::on!(tx, |conn| sqlx::query("update patient set deleted_at = $1, body = null where id = 'b'")
            .bind(now)
            .execute(conn)
            .await
            .map(drop))
        .unwrap();
        tx.commit().await.unwrap();
        let left: BTreeSet<_> = tokens(db).await.into_iter().map(|(owner, _)| owner).collect();
        assert_eq!(left, ["c".to_owned()].into());
        // And whose key is gone, as in a backup that was put back.
        make_old(db, "c", &anna).await;
        db.vault().destroy(&db::Subject::Patient("c")).await.unwrap();
        assert!(renewal::some(db.clone()).await.unwrap());
        assert!(tokens(db).await.is_empty());
        assert!(old_owners(db).await.is_empty());
    }
}
