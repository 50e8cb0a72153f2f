//! A registry that answers as NPPES does, and as it should not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use provider::registry::Registry;
use settings::NpiRegistrySettings;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// With whom it knows.
    Found,
    /// With nobody.
    NotFound,
    /// With somebody whose NPI is not active.
    Deactivated,
    /// With an error of its own, status 200.
    Errors,
    /// With what is no JSON.
    Garbage,
    /// Without end.
    Endless,
    /// With another status.
    Failing,
    /// With another address.
    Redirecting,
    /// After longer than anybody waits.
    Slow,
}

/// The registry, for as long as the test runs.
#[derive(Clone)]
pub(crate) struct FakeRegistry {
    url: String,
    mood: Arc<Mutex<Mood>>,
}

const JANE: &str = r#"{"result_count":1,"results":[{
    "created_epoch":"1208390400000","enumeration_type":"NPI-1","last_updated_epoch":"1594425600000","number":"1234567893",
    "addresses":[],"practiceLocations":[],
    "basic":{"first_name":"JANE","last_name":"DOE","credential":"M.D.","sole_proprietor":"NO","sex":"F","enumeration_date":"2008-04-17",
        "last_updated":"2020-07-11","status":"STATUS","name_prefix":"Dr."},
    "taxonomies":[{"code":"207RC0000X","taxonomy_group":"","desc":"Internal Medicine, Cardiovascular Disease","state":"NY","license":"MD1234","primary":true}],
    "identifiers":[],"endpoints":[],"other_names":[]}]}"#;

impl FakeRegistry {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap());
        let mood = Arc::new(Mutex::new(Mood::Found));
        let router =
            axum::Router::new().route("/api/", axum::routing::get(answer)).with_state(Arc::clone(&mood));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, mood }
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn client(&self) -> Registry {
        Registry::new(&NpiRegistrySettings { url: self.url.clone() }).unwrap()
    }
}

async fn answer(State(mood): State<Arc<Mutex<Mood>>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    assert!(query.contains("version=2.1") && query.contains("number="), "{query}");
    let mood = *mood.lock().unwrap();
    let json = |text: String| ([(header::CONTENT_TYPE, "application/json")], text).into_response();
    match mood {
        Mood::Found if query.contains("number=1234567893") => json(JANE.replace("STATUS", "A")),
        Mood::Found | Mood::NotFound => json(r#"{"result_count":0,"results":[]}"#.to_owned()),
        Mood::Deactivated => json(JANE.replace("STATUS", "D")),
        Mood::Errors => json(r#"{"Errors":[{"description":"Field number requires 10 digits","field":"number","number":"11"}]}"#.to_owned()),
        Mood::Garbage => json("<html>".to_owned()),
        Mood::Endless => json("x".repeat(1024 * 1024)),
        Mood::Failing => StatusCode::BAD_GATEWAY.into_response(),
        Mood::Redirecting => (StatusCode::FOUND, [(header::LOCATION, "/api/elsewhere")]).into_response(),
        Mood::Slow => {
            tokio::time::sleep(Duration::from_secs(20)).await;
            StatusCode::OK.into_response()
        }
    }
}
