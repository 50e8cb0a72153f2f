//! A resource that nobody can read as a stack: its status says so, field by field, and it can be deleted.

use kube::core::{ApiResource, DynamicObject};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use stack::Stack;
use stack::condition::reason;
use stack::spec::HealthcareStack;

use super::{Memory, Pass};
use crate::controller::Operator;
use crate::stacks::Guarded;
use crate::validate::Problem;
use crate::{Error, delete, namespace};

/// A resource that cannot be read as a stack at all: the definition in the cluster is not this operator's.
pub(super) async fn unreadable(
    operator: &Operator,
    guarded: &Guarded,
    why: &str,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let mut shell = HealthcareStack::new(&guarded.name_any(), stack::spec::HealthcareStackSpec::default());
    shell.metadata = guarded.meta().clone();
    let id = crate::stacks::id(guarded);
    let pass = Pass { operator, id: &id, resource: &shell };
    if shell.metadata.deletion_timestamp.is_none() {
        let faults = faults_as_stored(pass).await?.unwrap_or_else(|| why.to_owned());
        let problem = Problem { reason: reason::INVALID, message: format!("cannot be read: {faults}") };
        pass.block(memory, &[problem]).await?;
    } else if namespace::is_ending(&operator.client, &id.namespace).await {
        return delete::let_go(pass).await;
    }
    Ok(Action::await_change())
}

/// What is wrong with a resource as it is stored, field by field. Whoever could not read it tells of no field.
async fn faults_as_stored(pass: Pass<'_>) -> Result<Option<String>, Error> {
    let name = pass.resource.name_any();
    let kind = ApiResource::erase::<HealthcareStack>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(pass.operator.client.clone(), &pass.id.namespace, &kind);
    let stored = api.get_opt(&name).await.map_err(Error::api(format!("HealthcareStack {name}")))?;
    let stored = stored.and_then(|stored| serde_json::to_string(&stored).ok()).unwrap_or_default();
    Ok(Stack::from_yaml(&stored).err().map(|faults| faults.to_string()))
}
