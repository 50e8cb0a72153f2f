//! `rotate-keys`: asks the operator for new keys, by an annotation. The operator does it in steps, so that no request fails meanwhile.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use clap::ValueEnum;
use contracts::ambient::Clock;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use stack::names;
use stack::spec::HealthcareStack;

use operator::secrets::rotation::{KEK, ROTATABLE, ROTATE};

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stack's name
    name: String,
    /// What to replace; may be given several times. Left out: all of these but kek
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<Kind>,
}

/// What can be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Kind {
    /// What users' tokens are signed with. Nobody is signed out
    SigningKeys,
    /// What services and gateway sign their own tokens with
    Identities,
    /// The services' passwords at the database
    DatabaseRoles,
    /// The certificate of the managed database, and its CA
    DatabaseTls,
    /// The certificates that services and gateway show each other, and their CA
    InternalTls,
    /// What the patients' keys are wrapped under. The copy of it that you keep elsewhere has to be renewed
    Kek,
}

impl Kind {
    const fn annotation(self) -> &'static str {
        match self {
            Self::SigningKeys => "signing-keys",
            Self::Identities => "identities",
            Self::DatabaseRoles => "database-roles",
            Self::DatabaseTls => "database-tls",
            Self::InternalTls => "internal-tls",
            Self::Kek => KEK,
        }
    }
}

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    cluster.stack(&options.name).await?;
    let asked: Vec<&str> = if options.kinds.is_empty() {
        everything()
    } else {
        options.kinds.iter().map(|kind| kind.annotation()).collect()
    };
    let word = Clock::system().now().to_rfc3339_opts(SecondsFormat::Secs, true);
    cluster
        .api::<HealthcareStack>()
        .patch(&options.name, &PatchParams::default(), &Patch::Merge(request(&asked, &word)))
        .await
        .map_err(Error::api(format!("annotate the HealthcareStack {}", options.name)))?;
    println!("Asked for new {}.", asked.join(", "));
    println!(
        "Old and new ones are good side by side until every pod has the new; `kubectl healthcare status {}` shows the pods.",
        options.name
    );
    if asked.contains(&KEK) {
        println!("{}", renew(&options.name));
    }
    Ok(Answer::Yes)
}

/// Without the key-encryption key: who asks for another must know, since there is a copy to be renewed.
fn everything() -> Vec<&'static str> {
    ROTATABLE.into_iter().filter(|kind| *kind != KEK).collect()
}

fn renew(stack: &str) -> String {
    let secret = names::object(stack, names::KEK);
    format!(
        "An Event tells when the new key-encryption key is in use: copy the Secret {secret} then, and keep the old copy for as long as \
         there are backups of before."
    )
}

/// The word is new each time: being asked with the same one twice does nothing.
fn request(kinds: &[&str], word: &str) -> Value {
    let annotations: BTreeMap<String, &str> =
        kinds.iter().map(|kind| (format!("{ROTATE}{kind}"), word)).collect();
    json!({ "metadata": { "annotations": annotations } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_those_that_the_operator_rotates() {
        let kinds: Vec<_> = Kind::value_variants().iter().map(|kind| kind.annotation()).collect();
        assert_eq!(kinds, ROTATABLE);
        assert!(!everything().contains(&KEK) && everything().len() == ROTATABLE.len() - 1);
        for kind in Kind::value_variants() {
            assert_eq!(kind.to_possible_value().expect("not hidden").get_name(), kind.annotation());
        }
    }

    #[test]
    fn only_annotations_are_written() {
        let patch = request(&["identities"], "2026-11-24T00:00:00Z");
        assert_eq!(
            patch,
            json!({ "metadata": { "annotations": { "healthcarestack.dev/rotate-identities": "2026-11-24T00:00:00Z" } } })
        );
    }
}
