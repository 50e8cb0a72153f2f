//! Between the parts of a stack: whoever shows no certificate of the stack's own CA reaches no service.
//!
//! Not here yet: the CA that changes under traffic. Its steps are tested in `operator/src/secrets`, and the processes' side in `http-kit`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cluster_tests::Clinic;
use k8s_openapi::api::core::v1::{Secret, Service};
use reqwest::{Certificate, ClientBuilder, Identity};
use serde_json::json;
use stack::names;

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

async fn addresses(clinic: &Clinic) -> Vec<IpAddr> {
    let service: Service = clinic.api().get(&clinic.object(PATIENT)).await.unwrap();
    let pod = clinic.pods(PATIENT).await.remove(0);
    let texts = [service.spec.unwrap().cluster_ip.unwrap(), pod.status.unwrap().pod_ip.unwrap()];
    texts.map(|text| text.parse().unwrap()).into()
}

#[tokio::test]
async fn who_shows_no_certificate_of_the_stack_reaches_no_service() {
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
}
