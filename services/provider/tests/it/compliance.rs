//! Who lacks what among their credentials.

use serde_json::Value;

use super::*;

async fn credential(stack: &Arc<TestStack>, provider: &str, body: &str) {
    let path = format!("/api/providers/{provider}/credentials");
    let _ = PROVIDERS.call(stack, Role::Admin, Method::POST, &path, Some(body)).await.expect(201);
}

async fn report(stack: &Arc<TestStack>, query: &str) -> Value {
    let path = format!("/api/providers/compliance?{query}");
    PROVIDERS.call(stack, Role::Admin, Method::GET, &path, None).await.expect(200).json()
}

/// Three: without a licence, with one that is over, and with one that ends in March and whom nobody has verified.
async fn fill(stack: &Arc<TestStack>) {
    for (id, name) in [("none", "=1+1"), ("over", "Doe, \"Jo\""), ("soon", "Jane Doe"), ("good", "Jane Doe")]
    {
        stack.clock.advance(chrono::TimeDelta::seconds(1));
        let body =
            JANE.replace("prov001", id).replace("\"Dr. Jane Doe\"", &serde_json::to_string(name).unwrap());
        let _ = PROVIDERS.post(stack, &body).await.expect(201);
    }
    credential(stack, "over", r#"{"kind": "license", "number": "1", "expiresOn": "2026-01-01"}"#).await;
    credential(stack, "soon", r#"{"kind": "license", "number": "2", "expiresOn": "2026-03-01"}"#).await;
    let path = "/api/providers/good/credentials";
    let licence = r#"{"kind": "license", "number": "3", "expiresOn": "2029-03-01"}"#;
    let saved = PROVIDERS.call(stack, Role::Admin, Method::POST, path, Some(licence)).await.expect(201);
    let verify = format!("{path}/{}/verify", saved.json()["credentialId"].as_str().unwrap());
    let seen = r#"{"method": "manual", "evidence": "Seen."}"#;
    let _ = PROVIDERS.call(stack, Role::Admin, Method::POST, &verify, Some(seen)).await.expect(200);
}

fn who(report: &Value) -> Vec<String> {
    let line = |item: &Value| {
        let codes: Vec<_> =
            item["findings"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
        format!("{} {}", item["providerId"].as_str().unwrap(), codes.join(" "))
    };
    report["items"].as_array().unwrap().iter().map(line).collect()
}

testkit::stack_tests! { services = [provider::SERVICE];
    async fn who_lacks_what_is_listed_page_by_page(stack: Arc<TestStack>) {
        fill(&stack).await;
        let all = ["soon Unverified Expiring", "over NoLicense Expired", "none NoLicense"];
        assert_eq!(who(&report(&stack, "").await), all);
        assert_eq!(who(&report(&stack, "withinDays=10").await)[0], "soon Unverified");
        assert_eq!(who(&report(&stack, "code=Expired").await), ["over Expired"]);
        assert!(who(&report(&stack, "code=Revoked").await).is_empty());
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = report(&stack, &format!("limit=1{cursor}")).await;
            seen.extend(who(&page));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    async fn as_a_file_no_cell_begins_a_formula(stack: Arc<TestStack>) {
        fill(&stack).await;
        let file = PROVIDERS.call(&stack, Role::Admin, Method::GET, "/api/providers/compliance/csv?code=NoLicense", None).await.expect(200);
        assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(
            file.text,
            "providerId,name,finding,credentialId,kind,expiresOn,exclusionId\r\nover,\"Doe, \"\"Jo\"\"\",NoLicense,,,,\r\nnone,\"'=1+1\",NoLicense,,,,\r\n"
        );
        let whole = PROVIDERS.call(&stack, Role::Admin, Method::GET, "/api/providers/compliance/csv", None).await.expect(200);
        assert!(whole.text.contains(",Expiring,cred_") && whole.text.contains(",license,2026-03-01,\r\n"), "{}", whole.text);
    }

    async fn bad_queries_and_those_who_may_not_are_refused(stack: Arc<TestStack>) {
        for (query, field) in [("withinDays=731", "withinDays"), ("code=Sad", "code"), ("limit=0", "limit"), ("cursor=x", "cursor"), ("x=1", "x")] {
            let path = format!("/api/providers/compliance?{query}");
            assert_eq!(PROVIDERS.call(&stack, Role::Admin, Method::GET, &path, None).await.expect(400).faults(), [field], "{query}");
        }
        for path in ["/api/providers/compliance", "/api/providers/compliance/csv"] {
            for role in [Role::Clinician, Role::Receptionist, Role::Patient] {
                let _ = PROVIDERS.call(&stack, role, Method::GET, path, None).await.expect(403);
            }
        }
    }
}
