//! How long it takes to find somebody among a hundred thousand: `cargo run --release --package patient --example search [PATIENTS]`.
//!
//! On PostgreSQL, the tests' own server (in memory, as good as: it does not wait for the disk) or that of `TEST_DATABASE_URL`; and on SQLite, which
//! waits for the disk at each commit. Names are about as unevenly frequent as names are. Prints the plans, too.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement ends with a panic, or prints figures"
)]

use std::time::{Duration, Instant};

use chrono::{Days, NaiveDate};
use contracts::ambient::Random;
use contracts::id::PatientId;
use contracts::patients::{PatientFilter, PatientRegistration};
use db::{Db, Engine};
use patient::domain::patient::Patient;
use patient::domain::search::Search;
use patient::store::patient::{patient_insert, patient_search};
use serde_json::json;
use settings::ServiceName;
use sqlx::AssertSqlSafe;
use testkit::TestDb;

const PATIENTS: usize = 100_000;
const REGISTERED_AT_ONCE: usize = 500;
const REGISTERED_ALONE: usize = 1_000;
const SEARCHES: usize = 200;

#[tokio::main]
async fn main() {
    let patients = std::env::args().nth(1).map_or(PATIENTS, |patients| patients.parse().unwrap());
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let test = TestDb::new(engine, ServiceName::PatientService, &patient::MIGRATIONS).await;
        let clinic = Clinic::of(patients);
        let begun = Instant::now();
        clinic.register_all(test.db()).await;
        println!("{}: {patients} patients in {:.0} s", engine.as_str(), begun.elapsed().as_secs_f64());
        clinic.measure(test.db()).await;
        println!("{}", plan(test.db()).await);
        test.teardown().await;
    }
}

/// Who is a patient, by number.
struct Clinic {
    patients: Vec<(String, String, NaiveDate)>,
}

impl Clinic {
    fn of(count: usize) -> Self {
        let (random, first) = (Random::seeded(1), NaiveDate::from_ymd_opt(1935, 1, 1).unwrap());
        let (given, family) = (names("a", 1_000), names("o", 10_000));
        let one = |_| {
            let born = first.checked_add_days(Days::new(random.below(33_000))).unwrap();
            (frequent(&given, &random), frequent(&family, &random), born)
        };
        Self { patients: (0..count).map(one).collect() }
    }

    fn patient(&self, number: usize) -> Patient {
        let (given, family, dob) = &self.patients[number % self.patients.len()];
        let registration: PatientRegistration = serde_json::from_value(json!({
            "name": format!("{given} {family}"), "dob": dob,
            "contactInfo": {"phone": phone(number), "email": format!("mail{number}@example.com")},
            "medicalHistory": {"allergies": ["Penicillin"], "chronicConditions": ["Diabetes"]},
        }))
        .unwrap();
        Patient::register(&registration, NaiveDate::from_ymd_opt(2026, 1, 15).unwrap()).unwrap().1
    }

    async fn register_all(&self, db: &Db) {
        for from in (0..self.patients.len()).step_by(REGISTERED_AT_ONCE) {
            let mut tx = db.begin().await.unwrap();
            for number in from..self.patients.len().min(from + REGISTERED_AT_ONCE) {
                let id = PatientId::trusted(format!("pat_{number:08}"));
                patient_insert(&mut tx, db, &id, &self.patient(number)).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        // As the server does by itself, in a while.
        let mut tx = db.begin().await.unwrap();
        db::on!(tx, |conn| sqlx::query("analyze").execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
    }

    async fn measure(&self, db: &Db) {
        let random = Random::seeded(2);
        let anybody = || usize::try_from(random.below(self.patients.len() as u64)).unwrap();
        let named = |name: &str| PatientFilter { name: Some(name.to_owned()), ..PatientFilter::default() };
        let (given, family) = (names("a", 1), names("o", 1));
        let born = |dob: NaiveDate| Some(dob.to_string());
        searches(db, "a rare name", || {
            let (before, from) = self.patients.split_at(anybody());
            let rare = from.iter().chain(before).find(|it| it.1.len() > 8).unwrap();
            named(&format!("{} {}", rare.0, rare.1))
        })
        .await;
        searches(db, "the most frequent family name", || named(&family[0])).await;
        searches(db, "the first letters of it", || named(&family[0][..3])).await;
        searches(db, "it with the most frequent given name", || {
            named(&format!("{} {}", given[0], family[0]))
        })
        .await;
        searches(db, "it with a birth date", || PatientFilter {
            dob: born(self.patients[anybody()].2),
            ..named(&family[0])
        })
        .await;
        searches(db, "somebody's name with their birth date", || {
            let (given, family, dob) = &self.patients[anybody()];
            PatientFilter { dob: born(*dob), ..named(&format!("{given} {family}")) }
        })
        .await;
        searches(db, "a phone", || PatientFilter {
            phone: Some(phone(anybody())),
            ..PatientFilter::default()
        })
        .await;
        searches(db, "nobody's name", || named("zzyzx")).await;
        let begun = Instant::now();
        for number in 0..REGISTERED_ALONE {
            let mut tx = db.begin().await.unwrap();
            let id = PatientId::trusted(format!("new_{number:08}"));
            let patient = self.patient(self.patients.len() + number);
            patient_insert(&mut tx, db, &id, &patient).await.unwrap();
            tx.commit().await.unwrap();
        }
        println!(
            "  registrations, one after the other: {:.0}/s",
            REGISTERED_ALONE as f64 / begun.elapsed().as_secs_f64()
        );
    }
}

async fn searches(db: &Db, what: &str, mut filter: impl FnMut() -> PatientFilter) {
    let (mut took, mut found) = (Vec::with_capacity(SEARCHES), 0);
    for _ in 0..SEARCHES {
        let search = Search::parse(&filter()).unwrap();
        let begun = Instant::now();
        let mut tx = db.read().await.unwrap();
        found += patient_search(&mut tx, db, &search, None).await.unwrap().len();
        drop(tx);
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let ms = |at: usize| took.get(at).map_or(0.0, Duration::as_secs_f64) * 1_000.0;
    let (half, most) = (ms(SEARCHES / 2), ms(SEARCHES * 99 / 100));
    println!("  {what}: p50 {half:.1} ms, p99 {most:.1} ms, {:.1} found", found as f64 / SEARCHES as f64);
}

/// How the engine looks somebody up.
async fn plan(db: &Db) -> String {
    let statement = db::statements("patient").find(|it| it.sql.contains("join search_term")).unwrap().sql;
    let explain = if db.engine() == Engine::Sqlite { "explain query plan" } else { "explain" };
    let search =
        Search::parse(&PatientFilter { name: Some("somebody".to_owned()), ..PatientFilter::default() })
            .unwrap();
    let tokens = db::search_tokens(db, &search.looked_up()).unwrap().unwrap();
    let ((created_at, id), now) = (search.window.below(), db.clock().now());
    let mut tx = db.read().await.unwrap();
    let column = usize::from(db.engine() == Engine::Sqlite) * 3;
    let lines: Vec<String> = db::on!(tx, |conn| {
        let rows = sqlx::query(AssertSqlSafe(format!("{explain} {statement}")))
            .bind(&tokens)
            .bind(created_at)
            .bind(&id)
            .bind(51_i64)
            .bind(now)
            .bind("")
            .bind(None::<String>)
            .bind("")
            .bind(true)
            .bind(None::<String>)
            .fetch_all(conn)
            .await
            .unwrap();
        rows.iter().map(|row| sqlx::Row::get(row, column)).collect()
    });
    lines.join("\n")
}

fn phone(number: usize) -> String {
    format!("+4930{number:08}")
}

/// So many words, no two alike.
fn names(vowel: &str, count: usize) -> Vec<String> {
    const SYLLABLES: [&str; 12] = ["b", "d", "f", "g", "k", "l", "m", "n", "r", "s", "t", "w"];
    let syllables = |mut number: usize| {
        let mut name = String::new();
        loop {
            name.push_str(SYLLABLES[number % 12]);
            name.push_str(vowel);
            number /= 12;
            if number == 0 {
                return name;
            }
        }
    };
    (0..count).map(|number| format!("{}n", syllables(number + 144))).collect()
}

/// One of them, the n-th with a share of one in n and ten: of 10,000 the first has one in 76, of 1,000 one in 51.
fn frequent(names: &[String], random: &Random) -> String {
    let uniform = random.below(1 << 32) as f64 / (1_u64 << 32) as f64;
    let at = 10.0 * (names.len() as f64 / 10.0 + 1.0).powf(uniform) - 10.0;
    names[(at as usize).min(names.len() - 1)].clone()
}
