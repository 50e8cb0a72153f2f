//! Push messages: to phones over a fake that keeps to FCM's documented shapes, to browsers over one that keeps to RFC 8030.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKey, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use chrono::TimeDelta;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::json;
use settings::{FcmSettings, Integrations, PushSettings, WebPushSettings};

use super::*;
use crate::channels::*;
use testkit::fake::{Asked, Fake, Say};

pub(crate) fn both(outside: &mut Integrations, [port, _]: [u16; 2]) {
    outside.push = Some(PushSettings {
        fcm: Some(FcmSettings {
            url: format!("http://127.0.0.1:{port}"),
            project_id: "clinic-app".to_owned(),
            service_account: secret("fcm"),
        }),
        web_push: Some(WebPushSettings {
            vapid_key: secret("vapid"),
            contact: "mailto:it@clinic.example".to_owned(),
            own_hosts: vec!["127.0.0.1".to_owned()],
        }),
    });
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der))
}

/// Writes the two keys where the service reads them.
pub(crate) fn keys(stack: &Arc<TestStack>, port: u16) {
    let rsa = RsaKey::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let account = json!({
        "type": "service_account", "project_id": "clinic-app", "private_key_id": "1", "private_key": pem(der.as_ref()),
        "client_email": "push@clinic-app.iam.gserviceaccount.com", "token_uri": format!("http://127.0.0.1:{port}/token"),
    });
    let service = ServiceName::NotificationService;
    let _ = stack.secret(service, "fcm", "value", account.to_string().as_bytes());
    let vapid = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let _ = stack.secret(service, "vapid", "value", pem(vapid.as_ref()).as_bytes());
}

/// Google, and a push service of browsers.
pub(crate) fn takes_all(asked: &Asked) -> Say {
    let json =
        |status, body: Value| Say::This(status, "content-type: application/json\r\n", body.to_string());
    match asked.path.as_str() {
        "/token" => json(200, json!({"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"})),
        "/v1/projects/clinic-app/messages:send" => {
            json(200, json!({"name": "projects/clinic-app/messages/1"}))
        }
        _ => Say::This(201, "location: /m/1\r\n", String::new()),
    }
}

pub(crate) fn gone() -> Say {
    let details = json!([{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}]);
    let error = json!({"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND", "details": details}});
    Say::This(404, "content-type: application/json\r\n", error.to_string())
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

pub(crate) fn subscription(endpoint: &str) -> Value {
    json!({"endpoint": endpoint, "expirationTime": null, "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }})
}

async fn register(stack: &Arc<TestStack>, body: &Value) -> String {
    let patient = Who::patient("12345");
    let made = call(stack, patient, Method::POST, "/api/notifications/devices", Some(&body.to_string()))
        .await
        .expect(201);
    made.json()["deviceId"].as_str().unwrap().to_owned()
}

fn to(device: &str) -> String {
    PUSH.replace("deviceToken123", device)
}

channel_tests! {
    both: async fn a_phone_is_written_to_as_google_documents(stack: Arc<TestStack>, ports: [u16; 2]) {
        keys(&stack, ports[0]);
        let google = Fake::start(ports[0], takes_all).await;
        for _ in 0..2 {
            let sent = send(&stack, "push", PUSH).await.expect(201);
            assert_eq!(sent.json()["status"], "Sent");
        }
        let asked = google.asked();
        // One token for both.
        assert_eq!(asked.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), [
            "/token", "/v1/projects/clinic-app/messages:send", "/v1/projects/clinic-app/messages:send",
        ]);
        assert_eq!(asked[0].form("grant_type").unwrap(), "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let claims = claims(&asked[0].form("assertion").unwrap());
        assert_eq!(claims["iss"], "push@clinic-app.iam.gserviceaccount.com");
        assert_eq!(claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
        assert_eq!(asked[1].header("authorization"), "Bearer ya29.x");
        let message: Value = serde_json::from_slice(&asked[1].body).unwrap();
        assert_eq!(message["message"]["token"], "deviceToken123");
        assert_eq!(message["message"]["notification"]["title"], "Appointment Reminder");
        assert_ne!(message["message"]["android"]["notification"]["tag"], Value::Null);
    }

    both: async fn a_phone_that_is_gone_is_written_to_no_more(stack: Arc<TestStack>, ports: [u16; 2]) {
        keys(&stack, ports[0]);
        let google = Fake::start(ports[0], takes_all).await;
        let device = register(&stack, &json!({"token": "deviceToken123", "label": "my phone"})).await;
        assert_eq!(send(&stack, "push", &to(&device)).await.expect(201).json()["status"], "Sent");
        google.next(gone());
        let failed = send(&stack, "push", &to(&device)).await.expect(201);
        let read = get(&stack, failed.header("location")).await.expect(200).json();
        assert_eq!((&read["status"], &read["providerCode"]), (&"Failed".into(), &"UNREGISTERED".into()));
        let devices = call(&stack, Who::patient("12345"), Method::GET, "/api/notifications/devices", None).await.expect(200).json();
        assert_eq!(devices["items"], json!([]));
        let _ = send(&stack, "push", PUSH).await.expect(409);
    }

    both: async fn while_google_gives_no_token_a_message_waits(stack: Arc<TestStack>, ports: [u16; 2]) {
        keys(&stack, ports[0]);
        let google = Fake::start(ports[0], takes_all).await;
        google.next(Say::This(500, "", "<html>".to_owned()));
        let queued = send(&stack, "push", PUSH).await.expect(202);
        stack.clock.advance(TimeDelta::seconds(16));
        assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
    }

    both: async fn a_browser_is_written_to_in_what_it_alone_reads(stack: Arc<TestStack>, ports: [u16; 2]) {
        keys(&stack, ports[0]);
        let service = Fake::start(ports[0], takes_all).await;
        let endpoint = format!("http://127.0.0.1:{}/push/abc", ports[0]);
        let device = register(&stack, &json!({"subscription": subscription(&endpoint)})).await;
        // By its id, and by its endpoint.
        for to in [to(&device), to(&endpoint)] {
            assert_eq!(send(&stack, "push", &to).await.expect(201).json()["status"], "Sent");
        }
        let asked = service.asked();
        assert_eq!(asked.len(), 2);
        for asked in asked {
            assert_eq!((asked.path.as_str(), asked.header("content-encoding")), ("/push/abc", "aes128gcm"));
            assert_eq!(asked.header("ttl"), "86400");
            assert!(asked.header("topic").len() <= 32 && !asked.header("topic").is_empty());
            let token = asked.header("authorization").strip_prefix("vapid t=").unwrap().split(',').next().unwrap();
            let claims = claims(token);
            assert_eq!((&claims["aud"], &claims["sub"]), (&format!("http://127.0.0.1:{}", ports[0]).into(), &"mailto:it@clinic.example".into()));
            // Salt, record size, key length, and an uncompressed point.
            assert_eq!((&asked.body[16..21], asked.body[21]), (&[0, 0, 16, 0, 65][..], 4));
            assert!(!String::from_utf8_lossy(&asked.body).contains("Appointment"));
        }
        service.next(Say::This(410, "", String::new()));
        let failed = send(&stack, "push", &to(&device)).await.expect(201);
        assert_eq!(failed.json()["status"], "Failed");
        let devices = call(&stack, Who::patient("12345"), Method::GET, "/api/notifications/devices", None).await.expect(200).json();
        assert_eq!(devices["items"], json!([]));
    }

    both: async fn a_browser_whose_push_service_leads_inside_is_not_registered(stack: Arc<TestStack>, ports: [u16; 2]) {
        let _ = ports;
        for endpoint in ["https://169.254.169.254/x", "https://auth-service/x", "http://push.example.com/x"] {
            let body = json!({"subscription": subscription(endpoint)}).to_string();
            let refused = call(&stack, Who::patient("12345"), Method::POST, "/api/notifications/devices", Some(&body)).await;
            assert_eq!(refused.expect(422).faults(), ["subscription.endpoint"], "{endpoint}");
        }
    }
}
