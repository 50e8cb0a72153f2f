//! Between the parts of a stack: whoever shows no certificate of the stack's own CA reaches no service, and the CA changes while everybody
//! goes on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cluster_tests::{Clinic, Traffic, eventually};
use k8s_openapi::api::core::v1::{Secret, Service};
use reqwest::{Certificate, ClientBuilder, Identity};
use serde_json::json;
use stack::names;

/// Three rollouts, each of all parts, and two minutes in which the old CA is still believed.
const ROTATED_IN: Duration = Duration::from_mins(10);
/// The last of them.
const RETIRED_IN: Duration = Duration::from_mins(2);
const PATIENT: &str = "patient-service";
const PORT: u16 = 8082;

/// What a Secret says, as text.
async fn text(clinic: &Clinic, part: &str, key: &str) -> String {
    let secret = clinic.api::<Secret>().get(&clinic.object(part)).await.unwrap();
    String::from_utf8(secret.data.unwrap()[key].0.clone()).unwrap()
}

/// A part's certificate and key, as a client shows them.
async fn identity(clinic: &Clinic, part: &str) -> Identity {
    let part = names::tls(part);
    let pem = text(clinic, &part, "tls.crt").await + &text(clinic, &part, "tls.key").await;
    Identity::from_pem(pem.as_bytes()).unwrap()
}

/// Somebody's own.
fn foreign() -> Identity {
    let made = rcgen::generate_simple_self_signed(["clinic-api-gateway".to_owned()]).unwrap();
    Identity::from_pem((made.cert.pem() + &made.signing_key.serialize_pem()).as_bytes()).unwrap()
}

/// Asks the patient service at an address, by its name, whether it lives; believes whom the gateway believes.
async fn asks(clinic: &Clinic, at: IpAddr, shown: Option<Identity>) -> reqwest::Result<u16> {
    let believed = text(clinic, &names::tls(names::API_GATEWAY), "ca.crt").await;
    let name = clinic.object(PATIENT);
    let mut client = ClientBuilder::new()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .resolve(&name, SocketAddr::new(at, PORT))
        .tls_certs_only(Certificate::from_pem_bundle(believed.as_bytes()).unwrap());
    if let Some(shown) = shown {
        client = client.identity(shown);
    }
    let answer = client.build().unwrap().get(format!("https://{name}:{PORT}/livez")).send().await?;
    Ok(answer.status().as_u16())
}

/// Where the patient service is reached: by its Service, and at one of its pods.
async fn addresses(clinic: &Clinic) -> Vec<IpAddr> {
    let service: Service = clinic.api().get(&clinic.object(PATIENT)).await.unwrap();
    // A pod that has just been made has no address yet.
    let pods = clinic.pods(PATIENT).await.into_iter();
    let mut pods = pods.filter_map(|pod| pod.status?.pod_ip);
    let texts = [service.spec.unwrap().cluster_ip.unwrap(), pods.next().expect("a pod with an address")];
    texts.map(|text| text.parse().unwrap()).into()
}

#[tokio::test]
async fn who_shows_no_certificate_of_the_stack_reaches_no_service_and_its_authority_changes_unnoticed() {
    let two = json!({"services": {"patient": {"replicas": 2}, "auth": {"replicas": 2}}, "gateway": {"replicas": 2}});
    let clinic = Clinic::new("internal-tls").await.small().with(two).ready().await;
    for at in addresses(&clinic).await {
        assert_eq!(
            asks(&clinic, at, Some(identity(&clinic, "auth-service").await)).await.unwrap(),
            200,
            "{at}"
        );
        assert!(asks(&clinic, at, None).await.is_err(), "{at}: nobody is let in");
        assert!(asks(&clinic, at, Some(foreign())).await.is_err(), "{at}: a stranger is let in");
        let plain = reqwest::get(format!("http://{at}:{PORT}/livez")).await;
        assert!(plain.is_err(), "{at}: without TLS one is let in");
    }

    let before = identity(&clinic, "auth-service").await;
    let authority = text(&clinic, names::INTERNAL_CA, "signer.crt").await;
    let admin = clinic.admin().await;
    let traffic = Traffic::start(&admin, "/api/patients");
    clinic.edit(json!({"metadata": {"annotations": {"healthcarestack.dev/rotate-internal-tls": "1"}}})).await;
    eventually("another authority, and the old one gone", ROTATED_IN, async || {
        let secret = clinic.api::<Secret>().get(&clinic.object(names::INTERNAL_CA)).await;
        let secret = secret.map_err(|error| error.to_string())?;
        let stage = secret.metadata.annotations.unwrap_or_default().remove("healthcarestack.dev/rotation");
        let is_new = secret.data.unwrap()["signer.crt"].0 != authority.as_bytes();
        if is_new && stage.is_none() { Ok(()) } else { Err(format!("{stage:?}\n{}", clinic.story())) }
    })
    .await;
    // The last step replaces pods too, and the old ones are let go one by one.
    eventually("the old one to be refused, and the new one let in", RETIRED_IN, async || {
        for at in addresses(&clinic).await {
            if asks(&clinic, at, Some(before.clone())).await.is_ok() {
                return Err(format!("{at}: the old one is still believed"));
            }
            let shown = identity(&clinic, "auth-service").await;
            let answer = asks(&clinic, at, Some(shown)).await.map_err(|error| format!("{at}: {error}"))?;
            if answer != 200 {
                return Err(format!("{at}: {answer}"));
            }
        }
        Ok(())
    })
    .await;
    clinic.settled().await;
    let seen = traffic.stop_unharmed();
    println!("{} requests, the longest {:?}", seen.answered, seen.longest);
    let _ = admin.call("GET", "/api/patients", None).await.expect(200);
}
