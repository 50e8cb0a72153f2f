//! Whose data a request is about: every patient whom its path, its body or its answer names, and whom its query asks for. And which user, role
//! or session: those in its path. What else of them is changed, the store says that changes it.
//!
//! All of our shapes call a patient's id `patientId` (a test in `contracts` holds it). So what goes over the wire is looked through for
//! that name, whatever the shape: a new one cannot forget to say so, and a list names each of its hits.

use std::borrow::Cow;
use std::fmt;

use contracts::target::TargetKind;
use contracts::trail::{self, Trail};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// What a patient's id is called.
pub(crate) const MEMBER: &str = "patientId";

/// Notes the patients whom a query string asks for. That does not show anything of theirs yet: the answer does.
pub(crate) fn in_query(query: &str) {
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == MEMBER {
            trail::asks_for(&value);
        }
    }
}

/// Notes whom and what an id in the path names.
pub(crate) fn in_path(name: &str, id: &str) {
    if name == MEMBER {
        trail::concerns(id);
    } else if let Some(kind) = TargetKind::of_path_id(name) {
        trail::touches(kind, id);
    }
}

/// Notes the patients whom a body or an answer names.
pub(crate) fn in_json(json: &[u8]) {
    if let Some(trail) = trail::current() {
        // What is not JSON names nobody.
        let _ =
            serde_json::Deserializer::from_slice(json).deserialize_any(Look { trail: &trail, is_id: false });
    }
}

/// Looks through a value; or takes it for an id.
#[derive(Clone, Copy)]
struct Look<'a> {
    trail: &'a Trail,
    is_id: bool,
}

/// A member's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.is_id {
            self.trail.concerns(text);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key_seed(Name)? {
            members.next_value_seed(Self { is_id: name == MEMBER, ..self })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self { is_id: false, ..self })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_in(json: &str) -> Vec<String> {
        let trail = Trail::of("test");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(trail::within(Some(trail.clone()), async { in_json(json.as_bytes()) }));
        trail.told().patients.into_iter().collect()
    }

    #[test]
    fn every_patient_is_found_wherever_they_stand() {
        let json = r#"{"items": [{"patientId": "pat_1", "n": [1, -2.5, true, null, "pat_x"]},
            {"who": {"patient\u0049d": "pat_2"}}, {"patientId": "pat_1"}], "nextCursor": null}"#;
        assert_eq!(named_in(json), ["pat_1", "pat_2"]);
    }

    #[test]
    fn what_is_called_so_and_is_no_id_is_passed_over() {
        for json in
            [r#"{"patientId": null}"#, r#"{"patientId": 7}"#, r#"{"patientId": ["pat_1"]}"#, "\"pat_1\"", ""]
        {
            assert!(named_in(json).is_empty(), "{json}");
        }
        assert_eq!(named_in(r#"{"patientId": {"patientId": "pat_1"}}"#), ["pat_1"]);
    }
}
