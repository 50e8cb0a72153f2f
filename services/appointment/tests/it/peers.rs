//! When the other services do not answer.

use super::*;

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE];
    async fn nothing_is_booked_unasked(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        let refused = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(503);
        assert_eq!((refused.json()["code"].as_str(), refused.header("retry-after")), (Some("unavailable"), "1"));
        let _ = call(&stack, Role::Admin, Method::GET, "/api/providers/prov001/slots", None).await.expect(503);
        let _ = get(&stack, "apt1").await.expect(404);
    }
}
