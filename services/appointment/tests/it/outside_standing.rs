//! Who sees how calendars outside stand.

use settings::{CalendarSettings, ServiceSettings};

use super::outside::{CALENDARS, caldav};
use super::*;

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE], settings = two_calendars;
    async fn staff_see_the_calendars_and_a_clinician_their_own(stack: Arc<TestStack>) {
        let names = async |who: Who| {
            let list = call(&stack, who, Method::GET, CALENDARS, None).await.expect(200).json();
            list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(Role::Admin.into()).await, ["work", "all"]);
        assert_eq!(names(Role::Receptionist.into()).await, ["work", "all"]);
        assert_eq!(names(Who::clinician("prov001")).await, ["work"]);
        assert!(names(Who::clinician("prov002")).await.is_empty());
        for who in [Who::patient("12345"), Role::Billing.into(), Role::PrivacyOfficer.into()] {
            let _ = call(&stack, who, Method::GET, CALENDARS, None).await.expect(403);
        }
    }
}

/// Where nobody listens.
fn two_calendars(settings: &mut ServiceSettings) {
    let all = CalendarSettings { name: "all".to_owned(), provider_id: None, ..caldav(9) };
    settings.integrations.calendars = vec![caldav(9), all];
}
