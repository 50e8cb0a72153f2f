//! Two replicas never both write: a leader that is frozen for longer than its Lease writes nothing when it goes on, although it has much to
//! write. The API server's audit log says who has written what.

use std::time::{Duration, Instant};

use cluster_tests::{ApiServer, Replica, Write, eventually};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use stack::spec::HealthcareStack;

const SOON: Duration = Duration::from_secs(10);
/// A Lease runs out after 15 s and is looked at every 2 s.
const TAKEN_OVER_IN: Duration = Duration::from_secs(30);
/// Long enough to write, for one that would.
const A_WHILE: Duration = Duration::from_secs(3);
const EDITED_EVERY: Duration = Duration::from_millis(20);
const STACKS: [&str; 4] = ["a", "b", "c", "d"];

/// Somebody who edits all stacks all the time, so that whoever leads has something to write.
fn edit(server: &ApiServer) -> tokio::task::JoinHandle<()> {
    let kubeconfig = server.kubeconfig();
    tokio::spawn(async move {
        let client = cluster_tests::client(&kubeconfig).await;
        let stacks: Api<HealthcareStack> = Api::namespaced(client, "healthcare");
        for (burst, name) in (500_u32..).zip(STACKS.into_iter().cycle()) {
            let limit = json!({"requestsPerSecond": 100, "burst": burst});
            let patch = Patch::Merge(json!({"spec": {"gateway": {"rateLimits": {"perClient": limit}}}}));
            stacks.patch(name, &PatchParams::default(), &patch).await.unwrap();
            tokio::time::sleep(EDITED_EVERY).await;
        }
    })
}

/// The writes that were let in, those about the Lease left out.
fn of<'a>(replica: &Replica, writes: &'a [Write]) -> Vec<&'a Write> {
    let own = writes.iter().filter(|write| write.credential == replica.credential);
    own.filter(|write| write.code < 300 && !write.what.contains("/leases/")).collect()
}

#[tokio::test]
async fn a_leader_that_was_frozen_writes_nothing_after_another_has_taken_over() {
    let server = ApiServer::start().await;
    server.helm(&[
        "install",
        "healthcare-operator",
        "charts/healthcare-operator",
        "--namespace=healthcare",
        "--create-namespace",
    ]);
    let account = ("healthcare", "healthcare-operator");
    let mut first = server.operator(account, &[]).await;
    eventually("a leader", SOON, async || if first.leads().await { Ok(()) } else { Err(first.log()) }).await;
    let second = server.operator(account, &[]).await;
    for name in STACKS {
        let metadata = json!({"name": name, "namespace": "healthcare"});
        let stack =
            json!({"apiVersion": stack::API_VERSION, "kind": stack::KIND, "metadata": metadata, "spec": {}});
        server.apply(&stack).unwrap();
    }
    let editor = edit(&server);
    eventually("the first one's writes", SOON, async || {
        let writes = server.writes();
        if of(&first, &writes).len() > 100 { Ok(()) } else { Err(first.log()) }
    })
    .await;
    assert!(of(&second, &server.writes()).is_empty(), "the one that stands by writes");

    let begun = Instant::now();
    first.freeze();
    eventually("another leader, at work", TAKEN_OVER_IN, async || {
        let writes = server.writes();
        if of(&second, &writes).len() > 10 { Ok(()) } else { Err(second.log()) }
    })
    .await;
    println!("another one leads and writes after {:?}", begun.elapsed());
    let before = server.writes().len();
    first.thaw();
    let end =
        eventually("the first one's end", SOON, async || first.ended().ok_or_else(|| first.log())).await;
    tokio::time::sleep(A_WHILE).await;
    editor.abort();

    let since = server.writes().split_off(before);
    assert!(of(&second, &since).len() > 10, "there was nothing to write: {since:?}");
    let late: Vec<_> = since.iter().filter(|write| write.credential == first.credential).collect();
    // Whether the Lease is still its own it may ask by a write, which is refused.
    let is_fair = |write: &&Write| write.what.contains("/leases/") && write.code == 409;
    assert!(late.iter().all(is_fair), "{late:?}\n{}", first.log());
    assert!(
        !end.success() && first.log().contains("the lease healthcare-operator is lost"),
        "{end}\n{}",
        first.log()
    );
}
