//! [`Planter`]: bodies made of an operation's own schema, with a word in every text that is found nowhere else.
//!
//! What is no free text has a form of its own, and is made by its name. A text of a form that nobody here knows is a fault: so a new field
//! is planted by itself, or the test fails until somebody has said how.

use std::collections::BTreeSet;

use contracts::endpoint::Operation;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// What stands in the clear on purpose, or is one of a few words that are in the schema of the database too: nothing to be planted.
const NOT_PLANTED: [(&str, &str); 64] = [
    ("patientId", "an id: rows are found by it"),
    ("providerId", "an id"),
    ("appointmentId", "an id"),
    ("locationId", "an id of the client's own: it is sealed, and hours and bookings must name the same"),
    ("billId", "an id"),
    ("recordId", "an id"),
    ("userId", "an id"),
    ("appointmentDate", "the time of an appointment is what the database keeps apart"),
    ("timeSlot", "the time of an appointment"),
    ("date", "the day of a record is what its list goes by, and stands beside whose it is"),
    ("status", "one of a few words"),
    ("day", "one of seven words"),
    ("languages", "each a tag of a few letters"),
    ("from of take_time_off", "when somebody is away is what the database keeps apart"),
    ("to of take_time_off", "when somebody is away"),
    ("resolution", "one of three words"),
    ("roles", "one of a few words"),
    ("currency", "the stack's, read-only"),
    ("conflict", "read-only"),
    ("kind", "one of a few words"),
    ("method", "one of a few words"),
    ("result", "one of a few words"),
    ("expiresOn", "the last day is what those that end are found by"),
    ("credentialId", "an id"),
    ("edition", "the day of a public list"),
    ("exclusionId", "an id"),
    ("fromProviderId", "an id"),
    ("toProviderId", "an id"),
    ("referralId", "an id"),
    ("urgency", "one of a few words"),
    ("history", "read-only"),
    ("cancelledBy", "one of a few words"),
    ("holdId", "an id"),
    ("seriesId", "an id"),
    ("from of reschedule_all", "the days when a provider is away"),
    ("to of reschedule_all", "the days when a provider is away"),
    ("cursor of reschedule_all", "made by the service: where a list goes on"),
    ("scope", "one of two words"),
    ("rrule", "of a form of its own, which says when and nothing else"),
    ("times", "the times of day that would do"),
    ("from of join_waitlist", "the days that would do"),
    ("to of join_waitlist", "the days that would do"),
    ("token", "made by the service, and looked for as it is"),
    ("refreshToken", "made by the service, and looked for as it is"),
    ("currentPassword", "what was planted before as a password"),
    ("username of update_user", "read-only"),
    ("role", "the name of a role, by which tokens have it"),
    ("permissions", "each a known word"),
    ("until", "the day is what a care team and a consent go by"),
    ("what", "each one of a few words"),
    ("finding", "one of a few words"),
    ("decision", "one of a few words"),
    ("amendments", "read-only"),
    ("type", "one of a few words"),
    ("language", "one of four words"),
    ("channels", "each one of three words"),
    ("optOuts", "each one of a few words"),
    ("quietHours", "times of day"),
    ("token_type_hint", "one of two words"),
    ("url of create_webhook", "of a form: the test knows what fits"),
    ("subscription", "each of its texts has a form: the test knows what fits"),
    ("code of offer_second_factor", "there is none yet"),
    ("code of confirm_second_factor", "computed from the secret, which is looked for"),
    ("code of remove_second_factor", "a recovery code, made by the service and looked for as it is"),
];

/// Plants words, and knows which.
#[derive(Default)]
pub(super) struct Planter {
    count: u32,
    /// What was planted, in lower case, and in which field of which operation.
    pub(super) planted: Vec<(String, String)>,
}

/// Where in which body.
struct Place<'a> {
    operation: &'a str,
    path: Vec<String>,
    definitions: &'a Value,
}

impl Place<'_> {
    /// The member's name; of what is in a list, the list's.
    fn name(&self) -> &str {
        self.path.iter().rev().find(|part| *part != "[]").map_or("", String::as_str)
    }

    fn inner<T>(&mut self, part: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(part.to_owned());
        let done = work(self);
        self.path.pop();
        done
    }

    fn is_not_planted(&self) -> bool {
        let name = self.name();
        let of_this = format!("{name} of {}", self.operation);
        NOT_PLANTED.iter().any(|(known, _)| *known == name || *known == of_this)
    }
}

impl Planter {
    /// A body for an operation with every text planted. What is not planted is left out: the test knows what fits.
    pub(super) fn body(&mut self, operation: &Operation) -> Value {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let schema = operation.body.expect("it takes a body")(&mut generator).to_value();
        let definitions = Value::Object(generator.take_definitions(false));
        let mut place = Place { operation: operation.id, path: Vec::new(), definitions: &definitions };
        self.of(&schema, &mut place).unwrap_or(json!({}))
    }

    /// What else must be found nowhere.
    pub(super) fn also(&mut self, what: &str, field: &str) {
        self.planted.push((what.to_lowercase(), field.to_owned()));
    }

    pub(super) fn words(&self) -> Vec<&str> {
        self.planted.iter().map(|(word, _)| word.as_str()).collect()
    }

    fn of(&mut self, schema: &Value, place: &mut Place<'_>) -> Option<Value> {
        if place.is_not_planted() {
            return None;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let definitions = place.definitions;
            return self.of(&definitions[name], place);
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            let Some(choices) = schema[choice].as_array() else { continue };
            let is_of_a_few = choices.iter().any(|it| !it["const"].is_null());
            assert!(!is_of_a_few, "{} {:?}: one of a few words", place.operation, place.path);
            let other = choices.iter().find(|it| it["type"] != "null").cloned()?;
            return self.of(&other, place);
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        let is = |kind: &str| kinds.iter().any(|known| known == kind);
        if is("object") {
            return Some(self.object(schema, place));
        }
        if is("array") {
            let item = place.inner("[]", |place| self.of(&schema["items"], place))?;
            return Some(json!([item]));
        }
        if is("string") {
            return Some(self.text(schema, place));
        }
        // Numbers and flags: amounts are put in where they have to add up.
        None
    }

    fn object(&mut self, schema: &Value, place: &mut Place<'_>) -> Value {
        let mut members = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let value = place.inner(name, |place| self.of(member, place));
            members.extend(value.map(|value| (name.clone(), value)));
        }
        Value::Object(members)
    }

    fn text(&mut self, schema: &Value, place: &Place<'_>) -> Value {
        self.count += 1;
        let number = self.count;
        let form = schema.get("pattern").or_else(|| schema.get("format"));
        let planted = match (place.name(), form) {
            // Of the last century, each another day.
            ("dob" | "issuedOn", Some(_)) => {
                format!("19{:02}-{:02}-{:02}", 11 + number % 40, 1 + number % 12, 1 + number % 28)
            }
            ("phone", _) | ("to", Some(_)) => format!("+4915553{number:06}"),
            ("to", None) if place.operation == "send_email" => format!("{}@canary.test", word(number)),
            ("email", _) => format!("{}@canary.test", word(number)),
            ("taxonomyCode", _) => format!("{:03}ZQCANAX", number % 1000),
            ("slots", _) => format!("07:{:02}-18:{:02}", number % 60, number % 60),
            ("timeZone", _) => {
                ["Pacific/Chatham", "America/Nuuk", "Asia/Kathmandu"][number as usize % 3].to_owned()
            }
            (_, Some(form)) => {
                panic!("{} {:?}: nobody has said how to plant {form}", place.operation, place.path)
            }
            ("username", None) => format!("user.{}", word(number)),
            (_, None) => word(number),
        };
        self.planted.push((planted.to_lowercase(), format!("{} {}", place.operation, place.path.join("."))));
        planted.into()
    }
}

/// Twelve letters that make no word, another each time.
fn word(number: u32) -> String {
    let letter =
        |place: u32| char::from(b'a' + u8::try_from(number / 26_u32.pow(place) % 26).expect("a letter"));
    format!("Zqcanary{}{}{}{}", letter(3), letter(2), letter(1), letter(0))
}

/// Every free text in the schema of every body, to be compared with what was planted.
pub(super) fn free_texts(operations: impl Iterator<Item = &'static Operation>) -> BTreeSet<String> {
    let mut all = Planter::default();
    for operation in operations.filter(|operation| operation.body.is_some()) {
        let _ = all.body(operation);
    }
    all.planted.into_iter().map(|(_, field)| field).collect()
}
