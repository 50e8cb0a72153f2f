//! Words that nobody else is to read, said wherever somebody can say one: they stand in no line of the log at its loudest, on no page of metrics, in no
//! span, and in no answer to whoever did something wrong.

use blackbox::{Client, Setup};
use testkit::collector::{Answers, Collector};
use testkit::smtp::{SmtpServer, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Each of the words begins like this, in small letters or large ones.
const BIRD: &str = "canary";

/// What is done as it should be: answered well, with words in it.
const GOOD: [(&str, &str, &str); 20] = [
    (
        "POST",
        "/api/patients",
        r#"{"patientId": "p1", "name": "Canaryname Jones", "dob": "1980-01-01",
            "contactInfo": {"phone": "+1234567890", "email": "canarymail@example.com"},
            "medicalHistory": {"allergies": ["Canaryallergy"], "chronicConditions": ["Canarycondition"]}}"#,
    ),
    (
        "POST",
        "/api/providers",
        r#"{"providerId": "d1", "name": "Dr. Canaryprovider", "specialization": "Canaryology",
            "contactInfo": {"phone": "+1234567890", "email": "canarydoctor@example.com"},
            "availability": [{"day": "Monday", "slots": ["09:00-12:00"]}]}"#,
    ),
    (
        "POST",
        "/api/appointments",
        r#"{"appointmentId": "a1", "patientId": "p1", "providerId": "d1", "appointmentDate": "2030-01-07", "timeSlot": "10:00", "status": "Scheduled"}"#,
    ),
    (
        "POST",
        "/api/providers/d1/credentials",
        r#"{"kind": "license", "number": "CANARY-1", "state": "Canarystate", "specialty": "Canaryology"}"#,
    ),
    (
        "POST",
        "/api/referrals",
        r#"{"patientId": "p1", "fromProviderId": "d1", "specialization": "Canaryology", "reason": "Canaryreferral"}"#,
    ),
    (
        "POST",
        "/api/appointments/holds",
        r#"{"providerId": "d1", "appointmentDate": "2030-01-07", "timeSlot": "11:00", "visitType": "Canaryvisit"}"#,
    ),
    ("DELETE", "/api/appointments/a1?reason=canaryreason", ""),
    ("POST", "/api/appointments/feeds", r#"{"patientId": "p1", "label": "Canaryphone"}"#),
    (
        "POST",
        "/api/bills",
        r#"{"billId": "b1", "patientId": "p1", "totalAmount": 10.00, "status": "Issued",
            "services": [{"serviceId": "s1", "description": "Canaryservice", "amount": 10.00}],
            "insuranceClaim": {"insuranceProvider": "Canaryinsurer", "claimAmount": 5.00}}"#,
    ),
    (
        "POST",
        "/api/records",
        r#"{"recordId": "r1", "patientId": "p1", "date": "2024-08-01", "diagnosis": "Canarydiagnosis",
            "treatment": "Canarytreatment", "prescriptions": ["Canarydrug"]}"#,
    ),
    ("POST", "/api/records/r1/amendments", r#"{"text": "Canaryamendment", "reason": "Canaryreason"}"#),
    (
        "POST",
        "/api/notifications/email",
        r#"{"to": "canarymail@example.com", "subject": "Canarysubject", "body": "Canarybody"}"#,
    ),
    ("GET", "/api/patients?name=canaryname", ""),
    ("GET", "/api/patients?email=canarymail%40example.com", ""),
    ("GET", "/api/notifications?to=canarymail%40example.com", ""),
    ("GET", "/api/providers?name=canaryprovider", ""),
    ("GET", "/api/patients/p1", ""),
    ("PUT", "/api/patients/p1", r#"{"contactInfo": {"email": "canarynew@example.com"}}"#),
    ("DELETE", "/api/patients/p1", ""),
    ("GET", "/api/gateway", ""),
];

/// What is wrong with a word in it. None is answered with the word.
const BAD: [(&str, &str, &str); 36] = [
    ("POST", "/api/patients", r#"{"name": "CANARYCUT"#),
    ("POST", "/api/patients", r#"{"name": "CANARYCUT""#),
    ("POST", "/api/patients", r#"{"name": "canaryone", "name": "canarytwo"}"#),
    ("POST", "/api/patients", r#"{"name": ["canarylist"]}"#),
    (
        "POST",
        "/api/patients",
        r#"{"name": "canaryname", "dob": "canarydob", "contactInfo": {"phone": "canaryphone"}}"#,
    ),
    (
        "POST",
        "/api/patients",
        r#"{"name": "canaryname", "dob": "1980-01-01", "contactInfo": "canarycontact"}"#,
    ),
    (
        "POST",
        "/api/patients",
        r#"{"patientId": "canary id!", "name": "a", "dob": "1980-01-01", "contactInfo": {}}"#,
    ),
    ("POST", "/api/patients", "canarytext"),
    ("POST", "/api/patients", r#""canarystring""#),
    ("POST", "/api/patients", r#"{"name": "canary\u00zz"}"#),
    ("POST", "/api/patients", r#"{"name": "canary"} canarytail"#),
    (
        "POST",
        "/api/appointments",
        r#"{"patientId": "p1", "providerId": "d1", "appointmentDate": "canarydate", "timeSlot": "canaryslot"}"#,
    ),
    (
        "POST",
        "/api/appointments",
        r#"{"patientId": "canarypatient", "providerId": "canarydoctor", "appointmentDate": "2030-01-07", "timeSlot": "10:00"}"#,
    ),
    (
        "POST",
        "/api/appointments",
        r#"{"patientId": "p1", "providerId": "d1", "appointmentDate": "2030-01-07", "timeSlot": "10:00", "status": "canarystatus"}"#,
    ),
    (
        "POST",
        "/api/bills",
        r#"{"patientId": "p1", "totalAmount": "canaryamount", "status": "canarystatus", "services": []}"#,
    ),
    ("POST", "/api/records", r#"{"patientId": "p1", "date": "canarydate", "diagnosis": "canarydiagnosis"}"#),
    (
        "POST",
        "/api/notifications/email",
        r#"{"to": "canary to", "subject": "canarysubject", "body": "canarybody"}"#,
    ),
    ("POST", "/api/notifications/sms", r#"{"to": "canaryphone", "body": "canarybody"}"#),
    ("POST", "/api/auth/login", r#"{"username": "canaryuser", "password": "canarypassword"}"#),
    ("POST", "/api/auth/refresh", r#"{"refreshToken": "canarytoken"}"#),
    (
        "POST",
        "/api/auth/users",
        r#"{"username": "canary user", "password": "canary", "roles": ["canaryrole"]}"#,
    ),
    (
        "PUT",
        "/api/providers/d1",
        r#"{"timeZone": "Canary/Zone", "availability": [{"day": "Canaryday", "slots": ["canaryslot"]}]}"#,
    ),
    ("PUT", "/api/providers/d1", r#"{"name": "CANARYCUT"#),
    ("GET", "/api/patients?limit=canarylimit", ""),
    ("GET", "/api/patients?cursor=canarycursor", ""),
    ("GET", "/api/patients?dob=canarydob", ""),
    ("GET", "/api/bills?status=canarystatus", ""),
    ("GET", "/api/appointments?from=canaryday", ""),
    ("GET", "/api/providers/d1/slots?from=canaryday&limit=canarylimit", ""),
    // Where the secret of a calendar feed stands: whole, and of no form that one has.
    ("GET", "/api/appointments/feeds/canaryfeed/canarysecretcanarysecretcanaryse.ics", ""),
    ("GET", "/api/appointments/feeds/canaryfeed/CANARYSECRET", ""),
    ("GET", "/api/patients/canarypath", ""),
    ("GET", "/api/patients/canary%20path", ""),
    ("GET", "/api/patients/canary%zz", ""),
    ("GET", "/api/canarypath", ""),
    ("POST", "/api/canarypath", r#"{"name": "canaryname"}"#),
];

/// The words in a text.
fn birds(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let words = text.split(|char: char| !char.is_alphanumeric() && char != '_');
    words.filter(|word| word.contains(BIRD)).map(str::to_owned).collect()
}

fn body(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

async fn call_well(admin: &Client, method: &str, path: &str, text: &str) {
    let reply = admin.call(method, path, body(text)).await;
    assert!((200..300).contains(&reply.status), "{}: {}", reply.asked, reply.text);
}

/// What browsers and programs say of themselves beside what they ask for.
async fn say_it_in_headers(admin: &Client, tell: &mut impl FnMut(&str, u16, &str)) {
    for (name, value) in [
        ("authorization", "Bearer canarytoken"),
        ("authorization", "Bearer canary.canary.canary"),
        ("authorization", "Basic canarybasic"),
        ("cookie", "session=canarycookie"),
        ("user-agent", "canaryagent"),
        ("referer", "https://example.org/canaryreferrer"),
        ("x-forwarded-for", "canaryaddress"),
        ("accept", "text/canary"),
        ("if-none-match", "\"canarytag\""),
        ("x-request-timeout-ms", "canarytime"),
        ("x-request-id", "canary id"),
        ("traceparent", "00-canary-canary-01"),
    ] {
        let caller = if name == "authorization" { admin.anonymous() } else { admin.clone() };
        let request = caller.request("GET", "/api/providers/d1").header(name, value);
        let reply = caller.send(name.to_owned(), request).await.unwrap();
        if reply.status != 200 {
            tell(name, reply.status, &reply.text);
        }
    }
    for (name, value) in [
        ("content-type", "text/canary"),
        ("if-match", "\"canarytag\""),
        (
            "idempotency-key",
            "canary key that is longer than any key should ever be; canary key that is longer than any key should ever \
                             be; canary key that is longer than any key should ever be; canary key that is longer than any key should \
                             ever be; canary key that is longer",
        ),
    ] {
        let (method, path) =
            if name == "if-match" { ("PUT", "/api/providers/d1") } else { ("POST", "/api/patients") };
        let mut request = admin.request(method, path).body(r#"{"name": "canaryname"}"#).header(name, value);
        if name != "content-type" {
            request = request.header("content-type", "application/json");
        }
        let reply = admin.send(name.to_owned(), request).await.unwrap();
        tell(name, reply.status, &reply.text);
    }
}

/// Bytes that are no request.
async fn say_nonsense(url: &str, tell: &mut impl FnMut(&str, u16, &str)) {
    for bytes in [
        "GET /canary\u{1}raw HTTP/1.1\r\nhost: a\r\n\r\n",
        "CANARY\r\n\r\n",
        "GET /api/patients/canaryraw HTTP/1.1\r\nhost: canary host\r\n\r\n",
        "GET /api/patients HTTP/1.1\r\nhost: a\r\ncanary name: canaryvalue\r\n\r\n",
        "POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: canary\r\n\r\n",
        "POST /api/auth/login HTTP/1.1\r\nhost: a\r\ntransfer-encoding: canary\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        tell(bytes, status, &answer);
    }
}

#[test]
fn a_word_is_found_however_it_is_written() {
    let line = r#"{"message":"cannot read \"CANARYCUT\": /api/patients?name=Canaryname%20Jones","route":"/api/patients"}"#;
    assert_eq!(birds(line), ["canarycut", "canaryname"]);
    assert!(birds(r#"{"route":"/api/patients/{patientId}"}"#).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_the_stack_stands_in_no_log_no_metrics_no_trace_and_no_refusal() {
    nothing_is_repeated(Setup::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_on_postgresql() {
    nothing_is_repeated(Setup::new().with_database(&testkit::engines::fresh_database().await)).await;
}

async fn nothing_is_repeated(setup: Setup) {
    let (collector, mail) = (Collector::start(Answers::Takes).await, SmtpServer::start(free_port()));
    let spec = format!(
        "observability: {{ logLevel: trace, tracing: {{ endpoint: \"{}\", samplePercent: 100 }} }}\n  \
         integrations: {{ mail: {{ host: 127.0.0.1, port: {}, tls: None, from: \"Clinic <clinic@example.org>\" }} }}",
        collector.endpoint(),
        mail.port()
    );
    setup.edit("spec:\n", &format!("spec:\n  {spec}\n"));
    // Frames are told of, too, at that level.
    setup.edit("  gateway:\n", "  gateway:\n    upstreamProtocol: http2\n");
    let stack = setup.start().await;
    let admin = stack.admin().await;
    let mut told = Vec::new();
    let mut tell = |asked: &str, status: u16, answer: &str| {
        assert!((400..500).contains(&status), "{asked}: {status}: {answer}");
        let birds = birds(answer);
        if !birds.is_empty() {
            told.push(format!("{asked}: {status}: {birds:?}"));
        }
    };
    let (good, gone) = GOOD.split_at(GOOD.len() - 2);
    for (method, path, text) in good {
        call_well(&admin, method, path, text).await;
    }
    for (method, path, text) in BAD {
        let reply = admin.call(method, path, body(text)).await;
        tell(&reply.asked, reply.status, &reply.text);
    }
    say_it_in_headers(&admin, &mut tell).await;
    say_nonsense(&stack.url, &mut tell).await;
    // Both are told of what was booked and cancelled, too.
    let mut sent = Vec::new();
    for count in 1..20 {
        sent = mail.wait_for(count).await;
        if sent.iter().any(|mail| mail.body.contains("Canarybody")) {
            break;
        }
    }
    assert!(sent.iter().any(|mail| mail.body.contains("Canarybody")), "it went by mail: {sent:?}");
    for (method, path, text) in gone {
        call_well(&admin, method, path, text).await;
    }
    assert!(told.is_empty(), "{told:#?}");

    let spans = collector
        .wait_for("the last", |spans| spans.iter().any(|span| span.name == "GET /api/gateway"))
        .await;
    assert_eq!(birds(&format!("{spans:?}")), Vec::<String>::new(), "in a span");
    let line = stack.announced.lines().find(|line| line.contains("/metrics")).unwrap();
    let metrics = line.split_whitespace().nth(1).unwrap().trim_end_matches("/metrics").to_owned();
    let page = Client::new(&metrics).call("GET", "/metrics", None).await.expect(200);
    assert!(page.text.contains("/api/patients/{patientId}"), "requests are counted");
    assert_eq!(birds(&page.text), Vec::<String>::new(), "on the page of metrics");
    let (_, status, said, log) = stack.interrupt().await;
    assert!(status.success());
    for level in ["TRACE", "DEBUG", "INFO"] {
        assert!(log.contains(&format!("\"level\":\"{level}\"")), "nothing of {level} in the log");
    }
    let all = format!("{said}{log}");
    let lines: Vec<&str> = all.lines().filter(|line| !birds(line).is_empty()).take(20).collect();
    assert!(lines.is_empty(), "{} lines of the log, such as {lines:#?}", lines.len());
}
