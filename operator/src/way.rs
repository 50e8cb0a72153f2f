//! [`Way`]: what leads to the gateway from outside of the cluster, as far as its status tells; and [`reach`], what that comes to. Pure.
//!
//! A Service of type `LoadBalancer` has an address, or nobody reaches it. A Gateway takes an `HTTPRoute`, or says why not. An Ingress says
//! nothing for certain: there are controllers that never write an address into its status, and serve it well.

use stack::condition::reason;
use stack::spec::{GatewayServiceType, ParentRef};
use stack::{IngressBy, Stack, names};

use crate::facts::Sight;
use crate::kinds::Kind;
use crate::thin::{Thin, ThinCondition, ThinParent};
use crate::validate::Problem;

/// What the status of a Service, an Ingress or an `HTTPRoute` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The first address that it was given: an IP address or a host name.
    pub address: Option<Box<str>>,
    /// What each Gateway says of the route.
    pub parents: Vec<Parent>,
}

/// What a Gateway says of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The Gateway's name.
    pub name: String,
    /// Its namespace, if it is not the route's.
    pub namespace: Option<String>,
    /// One of its listeners, if the route is for that one alone.
    pub section_name: Option<String>,
    /// What it says.
    pub verdict: Verdict,
}

/// What a Gateway says of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet, or nothing of the route as it is now.
    Pending,
    /// It takes it.
    Accepted,
    /// It does not, in its controller's words.
    Refused(String),
}

impl Way {
    /// From the object itself.
    pub fn of(object: &Thin) -> Self {
        let address = object.status.load_balancer.ingress.iter().find_map(|given| {
            given.ip.as_deref().or(given.hostname.as_deref()).filter(|given| !given.is_empty())
        });
        let generation = object.metadata.generation;
        Self {
            address: address.map(Into::into),
            parents: object.status.parents.iter().map(|parent| Parent::of(parent, generation)).collect(),
        }
    }
}

impl Parent {
    fn of(parent: &ThinParent, generation: Option<i64>) -> Self {
        // What was said of an older route holds no longer.
        let is_current = |it: &&ThinCondition| {
            it.observed_generation.is_none_or(|of| generation.is_none_or(|now| of >= now))
        };
        let find = |r#type: &str| parent.conditions.iter().filter(is_current).find(|it| it.r#type == r#type);
        let refused = ["Accepted", "ResolvedRefs"]
            .into_iter()
            .filter_map(find)
            .find(|condition| condition.status == "False");
        let verdict = match (refused, find("Accepted")) {
            (Some(condition), _) => Verdict::Refused(words(condition)),
            (None, Some(accepted)) if accepted.status == "True" => Verdict::Accepted,
            (None, _) => Verdict::Pending,
        };
        Self {
            name: parent.parent_ref.name.clone(),
            namespace: parent.parent_ref.namespace.clone(),
            section_name: parent.parent_ref.section_name.clone(),
            verdict,
        }
    }

    fn is(&self, asked: &ParentRef, own: &str) -> bool {
        let of = |namespace: &Option<String>| namespace.clone().unwrap_or_else(|| own.to_owned());
        self.name == asked.name
            && of(&self.namespace) == of(&asked.namespace)
            && self.section_name == asked.section_name
    }
}

fn words(condition: &ThinCondition) -> String {
    let texts = [condition.reason.as_deref(), condition.message.as_deref()];
    texts.into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ")
}

/// Whether the gateway is reached from outside as the stack asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is; or nothing of the kind is asked for.
    Open,
    /// That cannot be told, and why.
    Untold(String),
    /// It is not.
    Closed(Problem),
}

/// What the stack asks for, as far as it is there.
pub fn reach(stack: &Stack, sight: &Sight) -> Reach {
    let name = names::object(&stack.name, names::API_GATEWAY);
    if stack.gateway.service.r#type == GatewayServiceType::LoadBalancer && address(stack, sight).is_none() {
        return pending(format!(
            "Service {name} has been given no address yet; something in the cluster must give addresses to Services of type LoadBalancer"
        ));
    }
    match stack.gateway.ingress.as_ref().map(|ingress| &ingress.by) {
        None => Reach::Open,
        Some(IngressBy::Ingress { .. }) => match way(sight, "networking.k8s.io", "Ingress", &name) {
            Some(Way { address: Some(_), .. }) => Reach::Open,
            _ => Reach::Untold(format!(
                "Ingress {name} shows no address: its controller has not taken it yet, or is one that writes none"
            )),
        },
        Some(IngressBy::HttpRoute { parents }) => {
            let way = way(sight, "gateway.networking.k8s.io", "HTTPRoute", &name);
            let said = parents.iter().map(|parent| of_parent(stack, &name, parent, way));
            // What a person has to do something about, rather than what may yet come.
            let mut closed: Vec<_> = said.flatten().collect();
            closed.sort_by_key(|problem| problem.reason != reason::ROUTE_NOT_ACCEPTED);
            closed.into_iter().next().map_or(Reach::Open, Reach::Closed)
        }
    }
}

/// The address that the load balancer gave the gateway's Service.
pub fn address<'a>(stack: &Stack, sight: &'a Sight) -> Option<&'a str> {
    way(sight, "", "Service", &names::object(&stack.name, names::API_GATEWAY))?.address.as_deref()
}

fn way<'a>(sight: &'a Sight, group: &str, kind: &str, name: &str) -> Option<&'a Way> {
    sight.get(&(Kind::id(group, kind)?, name.into()))?.way()
}

fn of_parent(stack: &Stack, name: &str, asked: &ParentRef, way: Option<&Way>) -> Option<Problem> {
    let gateway = format!("{}/{}", asked.namespace.as_ref().unwrap_or(&stack.namespace), asked.name);
    let parents = way.map(|way| way.parents.as_slice()).unwrap_or_default();
    match parents.iter().find(|parent| parent.is(asked, &stack.namespace)).map(|parent| &parent.verdict) {
        Some(Verdict::Accepted) => None,
        Some(Verdict::Refused(words)) => Some(Problem {
            reason: reason::ROUTE_NOT_ACCEPTED,
            message: format!("the Gateway {gateway} does not take HTTPRoute {name}: {words}"),
        }),
        Some(Verdict::Pending) | None => Some(Problem {
            reason: reason::ADDRESS_PENDING,
            message: format!(
                "the Gateway {gateway} has not taken HTTPRoute {name} yet; is it there, and its controller?"
            ),
        }),
    }
}

const fn pending(message: String) -> Reach {
    Reach::Closed(Problem { reason: reason::ADDRESS_PENDING, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Seen;
    use serde_json::{Value, json};

    fn stack(gateway: &str) -> Stack {
        let yaml = format!(
            "apiVersion: healthcarestack.dev/v1alpha1\nkind: HealthcareStack\nmetadata: {{name: clinic, namespace: clinic}}\nspec: {{gateway: {gateway}}}"
        );
        Stack::from_yaml(&yaml).expect("a stack")
    }

    fn sight(group: &str, kind: &str, object: Value) -> Sight {
        let id = Kind::id(group, kind).expect("known");
        let thin: Thin = serde_json::from_value(object).expect("an object");
        [((id, "clinic-api-gateway".into()), Seen::of_thin(&thin, id.kind()))].into()
    }

    fn reason_of(reach: Reach) -> String {
        match reach {
            Reach::Open => "open".to_owned(),
            Reach::Untold(_) => "untold".to_owned(),
            Reach::Closed(problem) => format!("{}: {}", problem.reason, problem.message),
        }
    }

    #[test]
    fn inside_of_the_cluster_nothing_is_asked_for() {
        assert_eq!(reach(&stack("{}"), &Sight::new()), Reach::Open);
        assert_eq!(reach(&stack("{service: {type: NodePort}}"), &Sight::new()), Reach::Open);
    }

    #[test]
    fn a_load_balancer_is_there_when_it_has_an_address() {
        let stack = stack("{service: {type: LoadBalancer}}");
        let service = |ingress: Value| {
            sight(
                "",
                "Service",
                json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": ingress}}),
            )
        };
        for nothing in [json!({}), json!({"ingress": []}), json!({"ingress": [{"ip": ""}]})] {
            let said = reason_of(reach(&stack, &service(nothing)));
            assert!(said.starts_with("AddressPending: Service clinic-api-gateway"), "{said}");
        }
        for (given, expected) in [
            (json!([{"ip": "192.0.2.7"}]), "192.0.2.7"),
            (json!([{"hostname": "lb.example.org"}]), "lb.example.org"),
        ] {
            let sight = service(json!({ "ingress": given }));
            assert_eq!(reach(&stack, &sight), Reach::Open);
            assert_eq!(address(&stack, &sight), Some(expected));
        }
    }

    /// Traefik without `ingressEndpoint`, for one, never writes any.
    #[test]
    fn an_ingress_without_an_address_is_no_proof_of_anything() {
        let stack = stack("{ingress: {host: clinic.example.org}}");
        let ingress = |status: Value| sight("networking.k8s.io", "Ingress", json!({ "status": status }));
        assert_eq!(reason_of(reach(&stack, &ingress(json!({})))), "untold");
        let given = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}});
        assert_eq!(reach(&stack, &ingress(given)), Reach::Open);
    }

    fn route(parents: Value) -> Sight {
        let object = json!({"metadata": {"generation": 2}, "status": { "parents": parents }});
        sight("gateway.networking.k8s.io", "HTTPRoute", object)
    }

    fn condition(r#type: &str, status: &str, generation: i64) -> Value {
        json!({"type": r#type, "status": status, "reason": "NotAllowedByListeners", "message": "no", "observedGeneration": generation})
    }

    #[test]
    fn a_route_is_accepted_by_each_gateway_or_it_is_not() {
        let stack = stack(
            "{ingress: {host: clinic.example.org, parentRefs: [{name: public, namespace: edge}, {name: inner, sectionName: https}]}}",
        );
        let public = |conditions: Value| json!({"parentRef": {"name": "public", "namespace": "edge"}, "controllerName": "c", "conditions": conditions});
        let inner = |namespace: Option<&str>, conditions: Value| json!({"parentRef": {"name": "inner", "namespace": namespace, "sectionName": "https"}, "conditions": conditions});
        let yes = || json!([condition("Accepted", "True", 2), condition("ResolvedRefs", "True", 2)]);
        let said = |parents: Value| reason_of(reach(&stack, &route(parents)));

        assert_eq!(said(json!([public(yes()), inner(Some("clinic"), yes())])), "open");
        assert_eq!(said(json!([public(yes()), inner(None, yes())])), "open");
        assert!(said(json!([public(yes())])).starts_with("AddressPending: the Gateway clinic/inner"));
        assert!(said(json!([public(yes()), inner(Some("elsewhere"), yes())])).starts_with("AddressPending"));
        let stale = json!([condition("Accepted", "True", 1)]);
        assert!(
            said(json!([public(stale), inner(None, yes())]))
                .starts_with("AddressPending: the Gateway edge/public")
        );
        for refused in [
            json!([condition("Accepted", "False", 2)]),
            json!([condition("Accepted", "True", 2), condition("ResolvedRefs", "False", 2)]),
        ] {
            // What is refused is told before what may yet come.
            let text = said(json!([inner(None, refused)]));
            assert_eq!(
                text,
                "RouteNotAccepted: the Gateway clinic/inner does not take HTTPRoute clinic-api-gateway: NotAllowedByListeners: no"
            );
        }
    }
}
