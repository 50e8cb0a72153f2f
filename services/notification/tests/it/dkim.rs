//! Mail that is signed for its sender's domain, as it arrives at a real server, and looked at by a verifier that is not ours.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use chrono::TimeDelta;
use data_encoding::BASE64;
use settings::{DkimSettings, MailSettings, MailTls};
use testkit::SmtpServer;
use testkit::dkim::verify;
use testkit::smtp::free_port;

use super::channels::secret;
use super::invitations::tell;
use super::reminders::clinic;
use super::*;

const SERVICES: &[http_kit::Service] = &[patient::SERVICE, provider::SERVICE, notification::SERVICE];
/// Where the public key stands.
const NAME: &str = "hcs1._domainkey.clinic.example";

fn run<T>(engine: db::Engine, test: fn(Arc<TestStack>, u16) -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    let port = free_port();
    let settings = |settings: &mut settings::ServiceSettings| {
        settings.integrations.mail = Some(MailSettings {
            host: "127.0.0.1".to_owned(),
            port,
            tls: MailTls::None,
            from: "Clinic Müller <no-reply@clinic.example>".to_owned(),
            username: None,
            password: None,
            dkim: Some(DkimSettings {
                domain: "clinic.example".to_owned(),
                selector: "hcs1".to_owned(),
                private_key: secret("dkim"),
            }),
        });
    };
    testkit::stack::run_with(engine, SERVICES, settings, move |stack| test(stack, port));
}

/// Each test on both engines, with a port for its mail server.
macro_rules! dkim_tests {
    ($(async fn $name:ident($stack:ident: Arc<TestStack>, $port:ident: u16) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($stack: Arc<TestStack>, $port: u16) $body

            #[test]
            fn sqlite() {
                run(db::Engine::Sqlite, test);
            }

            #[test]
            fn postgres() {
                run(db::Engine::Postgres, test);
            }
        }
    )*};
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der))
}

/// A key, and its public half as a text record.
fn rsa() -> (String, String) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    (pem(private.as_ref()), format!("v=DKIM1; k=rsa; p={}", BASE64.encode(public.as_ref())))
}

fn ed25519() -> (String, String) {
    let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
    (pem(private.as_ref()), format!("v=DKIM1; k=ed25519; p={}", BASE64.encode(key.public_key().as_ref())))
}

fn put(stack: &Arc<TestStack>, pem: &str) {
    let _ = stack.secret(ServiceName::NotificationService, "dkim", "value", pem.as_bytes());
}

dkim_tests! {
    async fn somebody_else_finds_the_signature_good_and_a_changed_mail_bad(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        for (count, (private, public)) in [rsa(), ed25519()].into_iter().enumerate() {
            put(&stack, &private);
            // Blanks at ends of lines and empty lines at the end are what servers on the way alter.
            let post = serde_json::json!({
                "to": "johndoe@example.com", "subject": "Übermorgen,  10 Uhr ".repeat(8).trim(), "body": "Grüß Gott  \n\n. \t x\n \n\n",
            });
            assert_eq!(send(&stack, "email", &post.to_string()).await.expect(201).json()["status"], "Sent");
            let mail = server.wait_for(count + 1).await[count].raw.clone();
            let verdict = verify(&mail, (NAME, &public));
            assert!(verdict.good, "{mail}");
            for header in ["from", "to", "subject", "date", "content-type"] {
                assert!(verdict.signed.iter().any(|name| name == header), "{header} in {verdict:?}");
            }
            for changed in [
                mail.replacen("To: johndoe@", "To: johnroe@", 1),
                mail.replacen("Subject: ", "Subject: x", 1),
                mail.replacen("From: ", "From: Eve <eve@example.org>\r\nFrom: ", 1),
                mail.replacen("\r\n\r\n", "\r\n\r\nx", 1),
            ] {
                assert_ne!(changed, mail);
                assert!(!verify(&changed, (NAME, &public)).good, "{changed}");
            }
            assert!(!verify(&mail, (NAME, &rsa().1)).good);
        }
    }

    async fn an_invitation_is_signed_with_all_its_parts(stack: Arc<TestStack>, port: u16) {
        let (private, public) = rsa();
        put(&stack, &private);
        let server = SmtpServer::start(port);
        clinic(&stack).await;
        tell(&stack, "booked", 1, serde_json::json!({})).await;
        let mails = server.wait_for(2).await;
        assert_eq!(mails.len(), 2);
        for mail in mails {
            assert!(verify(&mail.raw, (NAME, &public)).good, "{}", mail.raw);
            let changed = mail.raw.replacen("SEQUENCE:0", "SEQUENCE:9", 1);
            assert_ne!(changed, mail.raw);
            assert!(!verify(&changed, (NAME, &public)).good);
        }
    }

    async fn mail_that_cannot_be_signed_waits_and_never_goes_unsigned(stack: Arc<TestStack>, port: u16) {
        let server = SmtpServer::start(port);
        let missing = send(&stack, "email", MAIL).await.expect(202);
        let error = get(&stack, missing.header("location")).await.expect(200).json()["error"].clone();
        assert!(error.as_str().unwrap().starts_with("The key that signs mail is missing"), "{error}");
        let short = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for none in ["no key", short] {
            put(&stack, none);
            let queued = send(&stack, "email", MAIL).await.expect(202);
            let error = get(&stack, queued.header("location")).await.expect(200).json()["error"].clone();
            assert_eq!(error, "The key that signs mail is no private key in PEM, of RSA with 2048 bits or more or of Ed25519.");
        }
        assert!(server.mails().is_empty());
        let (private, public) = rsa();
        put(&stack, &private);
        stack.clock.advance(TimeDelta::seconds(61));
        let mails = server.wait_for(3).await;
        assert_eq!(mails.len(), 3);
        assert!(mails.iter().all(|mail| verify(&mail.raw, (NAME, &public)).good));
    }
}
