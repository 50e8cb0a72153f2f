//! Another version under traffic: migrations, then services, then the gateway. One that does not come up is given up for the last healthy
//! one, which goes on answering all along.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cluster_tests::{Clinic, Cluster, Traffic, VERSION, archive};
use serde_json::json;
use stack::condition::{kind, reason};
use stack::spec::ConditionStatus;

const NEXT: &str = "0.1.1";
/// A version that nobody has made.
const NOWHERE: &str = "9.9.9";
/// How long an image may be missing before its version is given up, and time to notice.
const GIVEN_UP: Duration = Duration::from_mins(3);

/// The same images by another tag: what a release changes for the operator is the name.
fn retagged(image: &str, into: &Path) -> PathBuf {
    let (folder, tar) = (into.join(image), into.join(format!("{image}.tar")));
    std::fs::create_dir_all(&folder).unwrap();
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    run(Command::new("tar").arg("-xf").arg(archive(image)).arg("-C").arg(&folder));
    let manifest = folder.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace(&format!(":{VERSION}\""), &format!(":{NEXT}\""))).unwrap();
    run(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&folder).arg("."));
    tar
}

#[tokio::test]
async fn a_version_comes_up_under_traffic_and_one_that_does_not_is_given_up() {
    let clinic = Clinic::new("version").await.small().ready().await;
    let images = tempfile::tempdir().unwrap();
    let archives = ["auth-service", "patient-service", "api-gateway"].map(|it| retagged(it, images.path()));
    Cluster::get().import(&archives);
    let traffic = Traffic::start(&clinic.admin().await, "/api/patients");

    clinic.edit(json!({"spec": {"version": NEXT}})).await;
    clinic.settled().await;
    let pods =
        clinic.namespace().ask(&["get", "pods", "--output=jsonpath={.items[*].spec.containers[*].image}"]);
    for image in archives.iter().filter_map(|it| it.file_stem()?.to_str()) {
        assert!(pods.contains(&format!("{image}:{NEXT}")), "{image}: {pods}");
    }

    clinic.edit(json!({"spec": {"version": NOWHERE}})).await;
    let condition = clinic.says(kind::DEGRADED, reason::ROLLED_BACK, GIVEN_UP).await;
    assert_eq!(condition.status, ConditionStatus::True);
    for word in [NEXT, NOWHERE] {
        assert!(condition.message.contains(word), "{word}: {}", condition.message);
    }
    // It stays there, though the resource still asks for the other.
    let running = clinic.running().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(clinic.running().await, running, "{}", clinic.story());
    let events = clinic.namespace().ask(&["get", "events", "--output=jsonpath={.items[*].reason}"]);
    assert!(events.contains(reason::ROLLED_BACK), "{events}");

    clinic.edit(json!({"spec": {"version": NEXT}})).await;
    clinic.settled().await;
    traffic.stop_unharmed();
}
