//! What is made, what is never made twice, and how each kind of key is changed while everything runs.

mod kek;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Months, TimeDelta, Utc};
use contracts::auth::JwkSet;
use http_kit::identity::public_jwk;
use k8s_openapi::ByteString;
use proptest::prelude::*;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use settings::ServiceName;

use super::*;

/// A namespace with the Secrets of one stack.
struct Namespace {
    stack: Stack,
    owner: OwnerReference,
    secrets: BTreeMap<String, Secret>,
    sources: Sources,
    rotate: BTreeMap<String, String>,
    rewrapped: Option<String>,
    now: DateTime<Utc>,
    random: Random,
}

impl Namespace {
    fn new(database: &str) -> Self {
        let yaml = format!(
            "apiVersion: healthcarestack.dev/v1alpha1\nkind: HealthcareStack\nmetadata: {{name: clinic, namespace: east}}\nspec:\n  database: {database}\n"
        );
        Self {
            stack: Stack::from_yaml(&yaml).unwrap(),
            owner: OwnerReference { uid: "1".to_owned(), ..OwnerReference::default() },
            secrets: BTreeMap::new(),
            sources: Sources::default(),
            rotate: BTreeMap::new(),
            rewrapped: None,
            now: "2026-11-23T10:00:00Z".parse().unwrap(),
            random: Random::seeded(7),
        }
    }

    fn managed() -> Self {
        let mut namespace = Self::new("{managed: {}}");
        namespace.go(false).unwrap();
        namespace
    }

    fn plan(&self, settled: bool) -> Result<Planned, Refusal> {
        plan(&Request {
            stack: &self.stack,
            owner: &self.owner,
            existing: &self.secrets,
            sources: &self.sources,
            rotate: &self.rotate,
            settled,
            rewrapped: self.rewrapped.as_deref(),
            now: self.now,
            random: &self.random,
        })
    }

    /// Plans and writes.
    fn go(&mut self, settled: bool) -> Result<Planned, Refusal> {
        let planned = self.plan(settled)?;
        for change in &planned.changes {
            let (Change::Create(secret) | Change::Replace(secret)) = change;
            let name = secret.metadata.name.clone().unwrap();
            assert_eq!(matches!(change, Change::Create(_)), !self.secrets.contains_key(&name), "{name}");
            self.secrets.insert(name, secret.clone());
        }
        Ok(planned)
    }

    fn ask(&mut self, what: &str) {
        self.rotate.insert(what.to_owned(), self.now.to_rfc3339());
    }

    fn value(&self, part: &str, key: &str) -> Vec<u8> {
        self.secrets[&names::object("clinic", part)].data.as_ref().unwrap()[key].0.clone()
    }

    fn text(&self, part: &str, key: &str) -> String {
        String::from_utf8(self.value(part, key)).unwrap()
    }

    fn keys(&self, part: &str) -> BTreeSet<String> {
        self.secrets[&names::object("clinic", part)].data.as_ref().unwrap().keys().cloned().collect()
    }
}

#[test]
fn a_new_stack_gets_every_secret_and_the_key_that_seals_first() {
    let mut namespace = Namespace::new("{managed: {}}");
    let planned = namespace.go(false).unwrap();
    let listing: Vec<_> = planned
        .changes
        .iter()
        .map(|change| {
            let Change::Create(secret) = change else { panic!("{change:?}") };
            let keys: Vec<_> = secret.data.iter().flatten().map(|(key, _)| key.as_str()).collect();
            let lifetime = if secret.metadata.owner_references.is_some() { "" } else { " (kept)" };
            format!("{}{lifetime}: {}", secret.metadata.name.as_deref().unwrap(), keys.join(", "))
        })
        .collect();
    insta::assert_snapshot!(listing.join("\n"));
    assert_eq!(namespace.plan(true).unwrap().changes, []);
}

#[test]
fn every_secret_has_a_name_that_nothing_else_has() {
    let namespace = Namespace::managed();
    let known: BTreeSet<_> = names::parts().map(|part| names::object("clinic", &part)).collect();
    for name in namespace.secrets.keys() {
        assert!(known.contains(name), "{name}");
    }
}

#[test]
fn a_lost_key_encryption_key_is_not_replaced() {
    let mut namespace = Namespace::managed();
    namespace.secrets.remove("clinic-kek");
    let lost = Refusal::KekLost { secret: "clinic-kek".to_owned() };
    assert_eq!(namespace.plan(true).unwrap_err(), lost);
}

#[test]
fn the_key_that_came_with_a_backup_is_taken_over_once() {
    let mut namespace = Namespace::new("{managed: {}}");
    let escrowed = data_encoding::BASE64.encode(&[9; 32]);
    let only = |current: Vec<u8>| Some(Escrowed { current, ..Escrowed::default() });
    namespace.sources.kek = only(format!("{escrowed}\n").into_bytes());
    namespace.go(false).unwrap();
    assert_eq!(namespace.text(names::KEK, "current"), escrowed);
    namespace.sources.kek = only(data_encoding::BASE64.encode(&[8; 32]).into_bytes());
    assert_eq!(namespace.plan(true).unwrap().changes, []);

    let mut namespace = Namespace::new("{managed: {}}");
    namespace.sources.kek = only(b"short".to_vec());
    assert_eq!(namespace.go(false).unwrap_err(), Refusal::EscrowedKey);
}

#[test]
fn what_cannot_be_rotated_is_refused_and_the_rest_goes_on() {
    let mut namespace = Namespace::managed();
    namespace.ask("moon");
    namespace.ask("signing-keys");
    let planned = namespace.go(true).unwrap();
    assert_eq!(planned.refused, [Refusal::Unknown { what: "moon".to_owned() }]);
    assert!(planned.rotating);
}

#[test]
fn a_rotation_asked_for_before_there_was_anything_is_done() {
    let mut namespace = Namespace::new("{managed: {}}");
    for what in rotation::ROTATABLE {
        namespace.ask(what);
    }
    namespace.go(true).unwrap();
    let planned = namespace.go(true).unwrap();
    assert!(planned.changes.is_empty() && !planned.rotating);
}

#[test]
fn a_signing_key_is_published_before_it_signs_and_stays_while_its_tokens_live() {
    let mut namespace = Namespace::managed();
    let first = namespace.text(names::SIGNING_KEYS, "current");
    namespace.now += TimeDelta::days(1);
    namespace.ask("signing-keys");
    namespace.go(true).unwrap();
    assert_eq!(namespace.keys(names::SIGNING_KEYS).len(), 3);
    assert_eq!(namespace.text(names::SIGNING_KEYS, "current"), first);

    // Not before every pod publishes it.
    namespace.now += TimeDelta::days(1);
    assert_eq!(namespace.go(false).unwrap().changes, []);
    namespace.go(true).unwrap();
    let second = namespace.text(names::SIGNING_KEYS, "current");
    assert_ne!(second, first);
    assert!(namespace.keys(names::SIGNING_KEYS).contains(&format!("{second}.p8")));

    // The overlap begins when no pod signs with the old one any more.
    let wake_at = namespace.go(true).unwrap().wake_at.unwrap();
    assert_eq!(namespace.keys(names::SIGNING_KEYS).len(), 3);
    assert_eq!(wake_at, namespace.now + TimeDelta::seconds(600 + 120));
    namespace.now = wake_at - TimeDelta::seconds(1);
    assert_eq!(namespace.go(true).unwrap().changes, []);
    namespace.now = wake_at;
    assert!(!namespace.go(true).unwrap().rotating);
    assert_eq!(namespace.keys(names::SIGNING_KEYS), ["current".to_owned(), format!("{second}.p8")].into());

    // The same word asks for nothing again, another does.
    assert_eq!(namespace.go(true).unwrap().changes, []);
    namespace.ask("signing-keys");
    assert!(namespace.go(true).unwrap().rotating);
}

/// Everybody believes what anybody may be signing with, in every state and the one before it.
#[test]
fn an_identity_is_known_to_all_before_it_is_used_and_until_nobody_uses_it() {
    let mut namespace = Namespace::managed();
    let first = namespace.value("patient-service-identity", "key.p8");
    namespace.ask("identities");
    for _ in 0..8 {
        let before = namespace.secrets.clone();
        namespace.now += TimeDelta::minutes(11);
        namespace.go(true).unwrap();
        for part in ServiceName::ALL.map(ServiceName::as_str).into_iter().chain(["api-gateway"]) {
            let name = format!("clinic-{part}-identity");
            for pods in [&before, &namespace.secrets] {
                let key = &pods[&name].data.as_ref().unwrap()["key.p8"].0;
                for verifiers in [&before, &namespace.secrets] {
                    let known = &verifiers["clinic-service-identities"].data.as_ref().unwrap()["jwks.json"].0;
                    let known: JwkSet = serde_json::from_slice(known).unwrap();
                    let used = public_jwk(part, key).unwrap();
                    let of_part = |kid: &str| kid == part || kid.starts_with(&format!("{part}."));
                    assert!(known.keys.iter().any(|jwk| of_part(&jwk.kid) && jwk.x == used.x), "{part}");
                }
            }
        }
    }
    assert_ne!(namespace.value("patient-service-identity", "key.p8"), first);
    assert_eq!(namespace.keys("patient-service-identity"), ["key.p8".to_owned()].into());
    assert!(!namespace.go(true).unwrap().rotating);
}

#[test]
fn the_other_login_takes_over_before_the_old_one_is_shut() {
    let mut namespace = Namespace::managed();
    let logins = |namespace: &Namespace| {
        let sql = namespace.text(names::DATABASE_ADMIN, "setup.sql");
        let shut: Vec<_> = ["patient_a", "patient_b"]
            .into_iter()
            .filter(|name| sql.contains(&format!("alter role \"{name}\" nologin")))
            .collect();
        (namespace.text("database-patient", "username"), shut.join(" "))
    };
    let says = |user: &str, shut: &str| (user.to_owned(), shut.to_owned());
    assert_eq!(logins(&namespace), says("patient_a", "patient_b"));
    namespace.ask("database-roles");
    namespace.go(true).unwrap();
    assert_eq!(logins(&namespace), says("patient_a", ""));
    namespace.go(true).unwrap();
    assert_eq!(logins(&namespace), says("patient_b", ""));
    assert!(namespace.text("database-patient", "url").starts_with("postgres://patient_b:"));
    namespace.go(true).unwrap();
    namespace.go(true).unwrap();
    assert_eq!(logins(&namespace), says("patient_b", "patient_a"));
    assert!(!namespace.go(true).unwrap().rotating);
}

#[test]
fn a_certificate_is_renewed_when_a_third_of_its_life_is_left_and_its_ca_much_later() {
    let mut namespace = Namespace::managed();
    let tls = |namespace: &Namespace| {
        let text = |key| namespace.text(names::DATABASE_TLS, key);
        (text("signer.crt"), text("tls.crt"), text("ca.crt").matches("BEGIN CERTIFICATE").count())
    };
    let (ca, leaf, believed) = tls(&namespace);
    assert_eq!(believed, 1);
    let wake_at = namespace.plan(true).unwrap().wake_at.unwrap();
    assert_eq!(wake_at, namespace.now + Months::new(8));
    namespace.now = wake_at - TimeDelta::seconds(1);
    assert_eq!(namespace.go(true).unwrap().changes, []);
    namespace.now = wake_at;
    let sums = checksums(namespace.secrets.values());
    namespace.go(true).unwrap();
    assert_eq!(
        checksums(namespace.secrets.values()),
        sums,
        "who has one reads it again, and is not replaced"
    );
    let (same_ca, renewed, _) = tls(&namespace);
    assert!(same_ca == ca && renewed != leaf);

    namespace.now = namespace.now + Months::new(12 * 8);
    namespace.go(true).unwrap();
    let (published, _, believed) = tls(&namespace);
    assert!(
        published == ca
            && believed == 2
            && namespace.text("database-patient", "ca.crt").matches("BEGIN").count() == 2
    );
    namespace.go(true).unwrap();
    let (used, _, believed) = tls(&namespace);
    assert!(used != ca && believed == 2);
    namespace.go(true).unwrap();
    namespace.now += TimeDelta::minutes(10);
    namespace.go(true).unwrap();
    assert_eq!(tls(&namespace).2, 1);
    assert!(!namespace.go(true).unwrap().rotating);
}

/// The parts that show each other certificates.
fn parts() -> impl Iterator<Item = &'static str> {
    ServiceName::ALL.into_iter().map(ServiceName::as_str).chain([names::API_GATEWAY])
}

/// Whether a part that reads its Secret in one state of the cluster lets in, and is let in by, one that reads it in another.
fn assert_all_meet(namespace: &Namespace, [one, other]: [&BTreeMap<String, Secret>; 2]) {
    let value = |state: &BTreeMap<String, Secret>, part: &str, key: &str| {
        state[&format!("clinic-{part}-tls")].data.as_ref().unwrap()[key].0.clone()
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(namespace.now.timestamp().unsigned_abs()));
    for (believer, shower) in [(one, other), (other, one)] {
        let mut authorities = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(&value(believer, "billing-service", "ca.crt")) {
            authorities.add(authority.unwrap()).unwrap();
        }
        let (authorities, provider) = (Arc::new(authorities), Arc::new(aws_lc_rs::default_provider()));
        let clients = WebPkiClientVerifier::builder_with_provider(authorities.clone(), provider.clone());
        let servers = WebPkiServerVerifier::builder_with_provider(authorities, provider);
        let (clients, servers) = (clients.build().unwrap(), servers.build().unwrap());
        for part in parts() {
            let shown = CertificateDer::from_pem_slice(&value(shower, part, "tls.crt")).unwrap();
            clients.verify_client_cert(&shown, &[], now).unwrap();
            for host in ["", ".east", ".east.svc", ".east.svc.cluster.local"] {
                let name = ServerName::try_from(format!("clinic-{part}{host}")).unwrap();
                servers.verify_server_cert(&shown, &[], &name, &[], now).unwrap();
            }
            let another = ServerName::try_from("clinic-postgres").unwrap();
            assert!(servers.verify_server_cert(&shown, &[], &another, &[], now).is_err(), "{part}");
        }
    }
}

/// Goes on until nothing rotates any more; in every state, and with pods of the one before it, everybody speaks to everybody.
fn rotate_to_the_end(namespace: &mut Namespace) -> usize {
    for steps in 0..9 {
        let before = namespace.secrets.clone();
        let rotating = namespace.go(true).unwrap().rotating;
        assert_all_meet(namespace, [&before, &namespace.secrets]);
        if !rotating {
            return steps;
        }
        namespace.now += TimeDelta::minutes(3);
    }
    panic!("it rotates without end");
}

#[test]
fn a_part_is_believed_by_all_whichever_step_its_authority_is_at() {
    let mut namespace = Namespace::managed();
    assert_all_meet(&namespace, [&namespace.secrets, &namespace.secrets]);
    let authority = namespace.value(names::INTERNAL_CA, "signer.crt");
    let shown = namespace.value("patient-service-tls", "tls.crt");
    namespace.ask("internal-tls");
    namespace.go(true).unwrap();
    assert_eq!(namespace.value("patient-service-tls", "tls.crt"), shown, "it is only made known");
    assert_eq!(namespace.plan(false).unwrap().changes, [], "not before all pods know it");
    assert_eq!(rotate_to_the_end(&mut namespace), 2, "used, and retired");
    assert_ne!(namespace.value(names::INTERNAL_CA, "signer.crt"), authority);
    assert_ne!(namespace.value("patient-service-tls", "tls.crt"), shown);
    assert_eq!(namespace.keys(names::INTERNAL_CA), ["signer.crt".to_owned(), "signer.key".to_owned()].into());
    assert_eq!(
        namespace.text("patient-service-tls", "ca.crt"),
        namespace.text(names::INTERNAL_CA, "signer.crt")
    );
}

#[test]
fn every_step_of_an_authority_replaces_pods_and_a_renewal_none() {
    let mut namespace = Namespace::managed();
    let rolled = |namespace: &mut Namespace| {
        let before = checksums(namespace.secrets.values());
        namespace.go(true).unwrap();
        let after = checksums(namespace.secrets.values());
        let is_rolled = |part: &&str| {
            let name = format!("clinic-{part}-tls");
            before[&name] != after[&name]
        };
        parts().filter(is_rolled).count()
    };
    let shown = namespace.value("api-gateway-tls", "tls.crt");
    namespace.now = namespace.now + Months::new(8);
    assert_eq!(rolled(&mut namespace), 0);
    assert_ne!(namespace.value("api-gateway-tls", "tls.crt"), shown);
    namespace.ask("internal-tls");
    assert_eq!(rolled(&mut namespace), 8, "published");
    assert_eq!(rolled(&mut namespace), 8, "in use");
    assert_eq!(rolled(&mut namespace), 0, "settled");
    namespace.now += TimeDelta::minutes(2);
    assert_eq!(rolled(&mut namespace), 8, "retired");
}

/// An operator that ends after it wrote the authority's Secret and before it wrote a part's.
#[test]
fn what_was_not_written_is_made_up_for() {
    let mut namespace = Namespace::managed();
    namespace.ask("internal-tls");
    namespace.go(true).unwrap();
    let before = namespace.secrets.clone();
    namespace.go(true).unwrap();
    namespace.secrets.insert("clinic-auth-service-tls".to_owned(), before["clinic-auth-service-tls"].clone());
    namespace.go(false).unwrap();
    assert_all_meet(&namespace, [&before, &namespace.secrets]);
    rotate_to_the_end(&mut namespace);
    assert_all_meet(&namespace, [&namespace.secrets, &namespace.secrets]);
}

#[test]
fn a_lost_authority_is_replaced_in_steps_since_what_it_vouched_for_is_in_use() {
    for lost in [&["internal-ca"][..], &["internal-ca", "patient-service-tls"]] {
        let mut namespace = Namespace::managed();
        let authority = namespace.value(names::INTERNAL_CA, "signer.crt");
        let before = namespace.secrets.clone();
        for part in lost {
            namespace.secrets.remove(&names::object("clinic", part));
        }
        let planned = namespace.go(true).unwrap();
        assert!(planned.rotating && planned.wake_at.is_some_and(|at| at > namespace.now));
        if lost.len() == 1 {
            assert_all_meet(&namespace, [&before, &namespace.secrets]);
        }
        assert_all_meet(&namespace, [&namespace.secrets, &namespace.secrets]);
        rotate_to_the_end(&mut namespace);
        assert_ne!(namespace.value(names::INTERNAL_CA, "signer.crt"), authority);
        assert_eq!(namespace.text("auth-service-tls", "ca.crt").matches("BEGIN").count(), 1);
    }
}

#[test]
fn an_authority_is_replaced_by_itself_long_before_its_end() {
    let mut namespace = Namespace::managed();
    namespace.now = namespace.now + Months::new(12 * 8);
    assert!(namespace.go(true).unwrap().rotating);
    assert!(namespace.text("api-gateway-tls", "ca.crt").matches("BEGIN").count() == 2);
}

#[test]
fn only_what_pods_read_counts_in_a_checksum() {
    let mut namespace = Namespace::managed();
    let before = checksums(namespace.secrets.values());
    namespace.ask("database-roles");
    namespace.go(true).unwrap();
    let after = checksums(namespace.secrets.values());
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, sum)| before.get(*name) != Some(sum))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(changed, ["clinic-database-admin"]);
}

#[test]
fn roles_on_a_foreign_server_are_told_apart_by_their_stack() {
    let mut namespace = Namespace::new("{external: {url: {secret: db, key: url}}}");
    let planned = namespace.go(false).unwrap();
    assert!(planned.changes.iter().all(|change| {
        let (Change::Create(secret) | Change::Replace(secret)) = change;
        !secret.metadata.name.as_ref().unwrap().contains("database")
    }));
    let url = "postgres://root:p%40ss%2Fword@db.example.org:6432/clinic%20data?sslmode=verify-full";
    namespace.sources.server = Some(Server::from_url(url, "PEM".to_owned()).unwrap());
    namespace.go(false).unwrap();
    let sql = namespace.text(names::DATABASE_ADMIN, "setup.sql");
    let role = role_name(&namespace.stack, "patient");
    assert!(role.starts_with("patient_") && sql.contains(&format!("create role \"{role}\" nologin")));
    assert!(!sql.contains("from public;\nrevoke create"), "others may be using this database");
    let url = namespace.text("database-patient", "url");
    assert!(url.contains("@db.example.org:6432/clinic%20data?sslmode=verify-full&"), "{url}");
    assert!(namespace.text(names::DATABASE_ADMIN, "pg_service.conf").contains("\npassword=p@ss/word\n"));
}

#[test]
fn a_url_that_will_not_do_is_refused() {
    for (url, why) in [
        ("mysql://a:b@c/d", BadUrl::Form),
        ("postgres://a:b@c", BadUrl::Form),
        ("postgres://a@c/d", BadUrl::Form),
        ("postgres://a:b@/d", BadUrl::Form),
        ("postgres://a:b@c:70000/d", BadUrl::Form),
        ("postgres://a:%zz@c/d", BadUrl::Form),
        ("postgres://a:b@c,e/d", BadUrl::Form),
        ("postgres://a:b@c/d?sslmode=require", BadUrl::Unverified),
        ("postgres://a:b@c/d?sslmode=disable", BadUrl::Unverified),
        ("postgres://a:b@c/d?options=-c%20x", BadUrl::Parameter),
        ("postgres://a:b%0Ahost=evil@c/d", BadUrl::Value),
        ("postgres://a:b%20@c/d", BadUrl::Value),
    ] {
        assert_eq!(Server::from_url(url, String::new()).err(), Some(why), "{url}");
    }
}

proptest! {
    #[test]
    fn what_a_url_says_is_what_is_connected_to(
        user in "[ -~é]{1,20}", password in "[ -~é]{1,20}", database in "[ -~é]{1,20}", port in 1_u16..,
    ) {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
        let url = format!("postgres://{}:{}@db.example.org:{port}/{}", encoded(&user), encoded(&password), encoded(&database));
        let blanks = [&user, &password, &database].iter().any(|text| text.trim() != text.as_str());
        match Server::from_url(&url, String::new()) {
            Ok(server) => {
                prop_assert!(!blanks);
                prop_assert_eq!((server.user, server.password, server.database, server.port), (user, password, database, port));
            }
            Err(error) => prop_assert!(blanks && error == BadUrl::Value),
        }
    }

    #[test]
    fn no_text_is_more_than_refused(url in "(postgres://)?[ -~]{0,60}") {
        let _ = Server::from_url(&url, String::new());
    }

    /// Whatever was lost, what is left stays as it is, and one pass makes the rest.
    #[test]
    fn what_is_there_is_left_alone(lost in prop::collection::vec(any::<prop::sample::Index>(), 0..32)) {
        let mut namespace = Namespace::managed();
        let all = namespace.secrets.clone();
        let names: Vec<_> = all.keys().cloned().collect();
        for index in &lost {
            namespace.secrets.remove(index.get(&names));
        }
        let left = namespace.secrets.clone();
        let kek_lost = !left.contains_key("clinic-kek");
        let others = ["clinic-signing-keys", "clinic-first-admin"].iter().any(|name| left.contains_key(*name));
        prop_assert_eq!(namespace.go(true).is_err(), kek_lost && others);
        if kek_lost && others {
            prop_assert_eq!(&namespace.secrets, &left);
            return Ok(());
        }
        let derived = ["clinic-service-identities", "clinic-database-admin"];
        for (name, secret) in &left {
            let own = |key: &str| !["ca.crt", "url", "pg_service.conf"].contains(&key);
            let kept = |secret: &Secret| -> Vec<(String, ByteString)> {
                secret.data.clone().unwrap_or_default().into_iter().filter(|(key, _)| own(key)).collect()
            };
            prop_assert!(derived.contains(&name.as_str()) || kept(secret) == kept(&namespace.secrets[name]), "{name}");
        }
        prop_assert_eq!(namespace.secrets.len(), all.len());
        // An authority that was lost is replaced in steps.
        rotate_to_the_end(&mut namespace);
        prop_assert_eq!(namespace.plan(true).unwrap().changes, []);
    }
}

#[test]
fn a_change_that_is_shown_shows_which_keys_and_no_value() {
    let planned = Namespace::new("{managed: {}}").plan(false).unwrap();
    let shown = format!("{:?} {:#?}", planned.changes, planned.changes);
    let mut values = 0;
    for Change::Create(secret) | Change::Replace(secret) in &planned.changes {
        for (key, value) in secret.data.iter().flatten() {
            assert!(shown.contains(&format!("{key:?}")), "{key}: {shown}");
            // A short one is a name, which another thing may have too; and `current` names the key that is used.
            if key == "current" || value.0.len() < 24 {
                continue;
            }
            let text = String::from_utf8_lossy(&value.0);
            for form in [format!("{value:?}"), format!("{:?}", value.0), format!("{text:?}")] {
                assert!(!shown.contains(form.trim_matches('"')), "{key}");
            }
            values += 1;
        }
    }
    assert!(values > 10, "{values}");
}
