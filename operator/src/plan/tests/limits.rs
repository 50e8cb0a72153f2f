//! Where the gateway's pods count requests.

use serde_json::{Value, json};
use stack::Stack;

use super::{find, planned, pod, sample};

/// Where limits are counted is somebody else's: reached at its port, with a password that may change without another pod.
#[test]
fn the_gateways_pods_may_count_together() {
    let mut stack = sample("minimal");
    let config = |stack: &Stack| {
        let objects = planned(stack);
        let text = find(&objects, "ConfigMap", "minimal-api-gateway")["data"]["gateway.json"].clone();
        serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap()
    };
    let alone = config(&stack);
    assert_eq!((&alone["replicas"], &alone["peers"]), (&json!(1), &json!("minimal-api-gateway:8080")));
    assert!(alone.get("rateLimitStore").is_none());

    let store = json!({
        "host": "10.9.8.7", "port": 6380, "tls": { "ca": { "secret": "redis", "key": "ca.crt" } },
        "password": { "secret": "redis", "key": "password" },
    });
    stack.gateway.rate_limit_store = Some(serde_json::from_value(store).unwrap());
    let told = &config(&stack)["rateLimitStore"];
    assert_eq!(
        (&told["prefix"], &told["timeoutMs"]),
        (&json!(format!("{}/minimal", stack.namespace)), &json!(5))
    );
    let objects = planned(&stack);
    let deployment = find(&objects, "Deployment", "minimal-api-gateway");
    assert!(pod(deployment)["containers"][0]["volumeMounts"].to_string().contains("/secrets/redis\""));
    assert!(!deployment["spec"]["template"]["metadata"]["annotations"].to_string().contains("redis"));
    let egress = find(&objects, "NetworkPolicy", "minimal-api-gateway")["spec"]["egress"].to_string();
    assert!(
        egress.contains(
            r#"{"ports":[{"port":6380,"protocol":"TCP"}],"to":[{"ipBlock":{"cidr":"10.9.8.7/32"}}]}"#
        ),
        "{egress}"
    );
}
