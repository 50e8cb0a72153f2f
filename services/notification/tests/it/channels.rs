//! Stacks with providers of text messages and push messages, on both engines.

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use settings::{Integrations, SecretRef, SmsSettings};
use testkit::smtp::free_port;

use super::*;
use testkit::fake::{Asked, Say};

pub(crate) const SERVICES: &[http_kit::Service] = &[notification::SERVICE];
pub(crate) const TOKEN: &str = "the account's token";
pub(crate) const PUBLIC: &str = "https://clinic.example";

pub(crate) fn secret(name: &str) -> SecretRef {
    SecretRef { secret: name.to_owned(), key: "value".to_owned() }
}

pub(crate) fn account(port: u16, sid: &str) -> SmsSettings {
    SmsSettings {
        url: format!("http://127.0.0.1:{port}"),
        account_sid: sid.to_owned(),
        auth_token: secret("sms"),
        from: "+4930123456".to_owned(),
    }
}

/// Runs a test with integrations of which each may be at one of two ports.
pub(crate) fn run<T>(
    engine: db::Engine,
    services: &'static [http_kit::Service],
    change: fn(&mut Integrations, [u16; 2]),
    test: fn(Arc<TestStack>, [u16; 2]) -> T,
) where
    T: Future<Output = ()> + Send + 'static,
{
    let ports = [free_port(), free_port()];
    let settings = move |settings: &mut settings::ServiceSettings| change(&mut settings.integrations, ports);
    testkit::stack::run_with(engine, services, settings, move |stack| {
        let _ = stack.secret(ServiceName::NotificationService, "sms", "value", TOKEN.as_bytes());
        test(stack, ports)
    });
}

macro_rules! channel_tests {
    (services = $services:expr; $($settings:ident: async fn $name:ident($stack:ident: Arc<TestStack>, $ports:ident: [u16; 2]) $body:block)*) => {
        crate::channels::channel_tests! { @each ($services) $($settings: fn $name($stack, $ports) $body)* }
    };
    (@each ($services:expr)) => {};
    (@each ($services:expr) $settings:ident: fn $name:ident($stack:ident, $ports:ident) $body:block $($rest:tt)*) => {
        mod $name {
            #[allow(unused_imports, reason = "what the other tests use is there for every one")]
            use super::*;

            async fn test($stack: Arc<TestStack>, $ports: [u16; 2]) $body

            #[test]
            fn sqlite() {
                crate::channels::run(db::Engine::Sqlite, $services, $settings, test);
            }

            #[test]
            fn postgres() {
                crate::channels::run(db::Engine::Postgres, $services, $settings, test);
            }
        }
        crate::channels::channel_tests! { @each ($services) $($rest)* }
    };
    ($($settings:ident: async fn $name:ident($stack:ident: Arc<TestStack>, $ports:ident: [u16; 2]) $body:block)*) => {
        crate::channels::channel_tests! { @each (crate::channels::SERVICES) $($settings: fn $name($stack, $ports) $body)* }
    };
}
pub(crate) use channel_tests;

/// What Twilio answers to a creation, and to who looks its messages through.
pub(crate) fn takes_all(asked: &Asked) -> Say {
    if asked.method == "POST" { created("SM1") } else { messages(&[]) }
}

pub(crate) fn created(sid: &str) -> Say {
    Say::This(201, "content-type: application/json\r\n", format!(r#"{{"sid": "{sid}", "status": "queued"}}"#))
}

/// A page of an account's messages, each by its sid, text and time.
pub(crate) fn messages(all: &[(&str, &str, &str)]) -> Say {
    let shown: Vec<Value> = all
        .iter()
        .map(|(sid, body, at)| {
            serde_json::json!({"sid": sid, "body": body, "date_created": at, "direction": "outbound-api", "status": "sent"})
        })
        .collect();
    Say::This(
        200,
        "content-type: application/json\r\n",
        serde_json::json!({"messages": shown, "page": 0}).to_string(),
    )
}

/// An error as Twilio writes it.
pub(crate) fn refusal(status: u16, code: u32) -> Say {
    let body =
        serde_json::json!({"code": code, "message": "about +1234567890", "more_info": "x", "status": status});
    Say::This(status, "content-type: application/json\r\n", body.to_string())
}

/// A call of the provider, signed with a token.
pub(crate) async fn tell(stack: &Arc<TestStack>, path: &str, form: &[(&str, &str)], token: &str) -> Reply {
    let mut sorted: Vec<_> = form.to_vec();
    sorted.sort_unstable();
    let mut signed = format!("{PUBLIC}{path}");
    for (name, value) in &sorted {
        signed.extend([*name, *value]);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref());
    let request = stack.request(ServiceName::NotificationService, Method::POST, path);
    testkit::stack::send(request.header("x-twilio-signature", signature).form(form)).await
}

/// The notification, once it no longer stands there; as it is after fifteen seconds otherwise.
pub(crate) async fn until_not(stack: &Arc<TestStack>, status: &str, path: &str) -> Value {
    for _ in 0..750 {
        let read = get(stack, path).await.expect(200).json();
        if read["status"] != status {
            return read;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    get(stack, path).await.expect(200).json()
}
