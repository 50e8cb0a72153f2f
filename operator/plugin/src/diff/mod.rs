//! `diff`: what a changed file would change in the cluster, by the operator's own planner. Nothing is written.

mod changes;
mod render;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use stack::spec::HealthcareStack;
use stack::{Stack, names};

use operator::discover;
use operator::object::Object;
use operator::plan::{Capabilities, Context, Kek, Tags, plan};

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::style::Style;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The file with the HealthcareStack; `-`: standard input
    #[arg(short, long)]
    filename: PathBuf,
    /// Only which objects change, not how
    #[arg(long)]
    brief: bool,
}

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    let place = options.filename.display().to_string();
    let text = read(&options.filename)?;
    let mut wanted =
        Stack::from_yaml(&text).map_err(|faults| Error::Invalid { place: place.clone(), faults })?;
    let resource: HealthcareStack =
        serde_saphyr::from_str(&text).map_err(|error| Error::Failed(format!("{place}: {error}")))?;
    wanted.namespace = resource.metadata.namespace.unwrap_or_else(|| cluster.namespace.clone());
    let there = Cluster { client: cluster.client.clone(), namespace: wanted.namespace.clone() };
    let current = there.stack_if_any(&wanted.name).await?;
    let current = current.map(|resource| {
        let invalid = |faults| Error::Invalid {
            place: format!("HealthcareStack {} in the cluster", wanted.name),
            faults,
        };
        Stack::from_resource(&resource).map_err(invalid)
    });
    let current = current.transpose()?;
    let capabilities = discover::capabilities(&cluster.client).await?;
    let before = current.as_ref().map(|stack| objects(stack, capabilities)).unwrap_or_default();
    let changes = changes::between(before, objects(&wanted, capabilities));
    let head = match &current {
        None => format!("{} is not in the cluster: all of it would be new.\n", wanted.name),
        Some(current) if current.version != wanted.version => {
            format!(
                "{} goes from {} to {}: migrations first, then the services, then the gateway.\n",
                wanted.name, current.version, wanted.version
            )
        }
        Some(_) => String::new(),
    };
    let text = head + &render::render(&changes, options.brief, Style::of_stdout());
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(changes.is_empty().into())
}

fn read(path: &PathBuf) -> Result<String, Error> {
    let file = |source| Error::File { path: path.clone(), source };
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path).map_err(file);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).map_err(file)?;
    Ok(text)
}

/// All objects of a stack, once every layer's turn has come. Secrets count as unchanged: a file does not change them.
fn objects(stack: &Stack, capabilities: Capabilities) -> Vec<Object> {
    let tag = Some(stack.image.tag.clone());
    let unchanged = |part: String| (names::object(&stack.name, &part), "unchanged".to_owned());
    let checksums: BTreeMap<_, _> = names::parts().map(unchanged).collect();
    let owner = OwnerReference {
        api_version: stack::API_VERSION.to_owned(),
        kind: stack::KIND.to_owned(),
        name: stack.name.clone(),
        controller: Some(true),
        ..OwnerReference::default()
    };
    plan(&Context {
        stack,
        owner,
        tags: Tags { migrations: tag.clone(), services: tag.clone(), gateway: tag },
        capabilities,
        checksums: &checksums,
        kek: &Kek::default(),
        operator_image: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(spec: &str) -> Stack {
        let text = format!(
            "{{apiVersion: healthcarestack.dev/v1alpha1, kind: HealthcareStack, metadata: {{name: clinic, namespace: clinic}}, spec: {spec}}}"
        );
        Stack::from_yaml(&text).expect("a stack")
    }

    fn diff(before: &str, after: &str, brief: bool) -> String {
        let planned = |spec| objects(&stack(spec), Capabilities::default());
        render::render(&changes::between(planned(before), planned(after)), brief, Style::plain())
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let spec = "{currency: EUR, services: {auth: {replicas: 2}}}";
        assert_eq!(diff(spec, spec, false), "Nothing would change.\n");
    }

    #[test]
    fn replicas_are_shown_line_by_line() {
        let text = diff("{}", "{services: {auth: {replicas: 3}}}", false);
        let deployment = text
            .split("~ ")
            .find(|part| part.starts_with("Deployment clinic-auth-service"))
            .expect("changed");
        assert!(deployment.contains("    -   replicas: 1\n    +   replicas: 3\n"), "{text}");
    }

    #[test]
    fn a_service_that_is_switched_off_goes() {
        let text = diff("{}", "{services: {billing: {enabled: false}}}", true);
        let gone: Vec<_> = text.lines().filter(|line| line.starts_with("- ")).collect();
        assert!(gone.contains(&"- Deployment clinic-billing-service"), "{text}");
        assert!(gone.iter().all(|line| line.contains("billing")), "{text}");
    }

    #[test]
    fn a_route_changes_the_gateways_configuration_and_restarts_nothing() {
        let after = "{gateway: {routes: [{path: /api/records, service: records, timeout: 5s}]}}";
        assert_eq!(diff("{}", after, true), "~ ConfigMap clinic-api-gateway\n\n0 new, 1 changed, 0 gone.\n");
        // The configuration is one line of JSON in the cluster, and many lines here.
        assert!(
            diff("{}", after, false).contains("+       timeoutMs: 5000\n"),
            "{}",
            diff("{}", after, false)
        );
    }

    #[test]
    fn a_stack_that_is_not_there_is_all_new() {
        let planned = objects(&stack("{}"), Capabilities::default());
        let number = planned.len();
        let text = render::render(&changes::between(Vec::new(), planned), true, Style::plain());
        assert_eq!(text.lines().filter(|line| line.starts_with("+ ")).count(), number);
        assert!(text.ends_with(&format!("\n{number} new, 0 changed, 0 gone.\n")), "{text}");
    }
}
