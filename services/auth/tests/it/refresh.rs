//! Refresh tokens: one exchange each, and what an old one that comes again gives away.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::*;

testkit::stack_tests! { services = [auth::SERVICE];
    async fn a_refresh_gives_a_new_pair(stack: Arc<TestStack>) {
        let first = login(&stack, "admin", ADMIN_PASSWORD).await;
        let answer = try_refresh(&stack, &first.refresh).await.expect(200);
        let second = Tokens::of(&answer);
        assert_eq!((&answer.json()["status"], answer.header("cache-control")), (&"Authenticated".into(), "no-store"));
        assert!(second.refresh != first.refresh && second.access != first.access);
        assert!(is_good(&stack, &second.access).await && is_good(&stack, &first.access).await);
        let _ = try_refresh(&stack, &second.refresh).await.expect(200);
    }

    async fn a_lost_answer_is_given_again_for_ten_seconds(stack: Arc<TestStack>) {
        let first = login(&stack, "admin", ADMIN_PASSWORD).await;
        let second = Tokens::of(&try_refresh(&stack, &first.refresh).await.expect(200));
        stack.clock.advance(TimeDelta::seconds(9));
        let again = Tokens::of(&try_refresh(&stack, &first.refresh).await.expect(200));
        assert_eq!(again.refresh, second.refresh);
        let _ = try_refresh(&stack, &again.refresh).await.expect(200);
    }

    async fn an_old_token_ends_the_session_everywhere(stack: Arc<TestStack>) {
        let first = login(&stack, "admin", ADMIN_PASSWORD).await;
        let second = Tokens::of(&try_refresh(&stack, &first.refresh).await.expect(200));
        stack.clock.advance(TimeDelta::seconds(10));
        let refused = try_refresh(&stack, &first.refresh).await.expect(401);
        assert_eq!(refused.json()["code"], "unauthenticated");
        let _ = try_refresh(&stack, &second.refresh).await.expect(401);
        assert!(!is_good(&stack, &second.access).await && !is_good(&stack, &first.access).await);
        let feed = call(&stack, Role::Service, Method::GET, "/internal/revocations?after=0", None).await.expect(200).json();
        assert_eq!(feed["items"].as_array().unwrap().len(), 1);
    }

    async fn once_the_successor_is_used_the_grace_is_over(stack: Arc<TestStack>) {
        let first = login(&stack, "admin", ADMIN_PASSWORD).await;
        let second = Tokens::of(&try_refresh(&stack, &first.refresh).await.expect(200));
        let third = Tokens::of(&try_refresh(&stack, &second.refresh).await.expect(200));
        let _ = try_refresh(&stack, &first.refresh).await.expect(401);
        let _ = try_refresh(&stack, &third.refresh).await.expect(401);
        assert!(!is_good(&stack, &third.access).await);
    }

    async fn fifty_refreshes_at_once_leave_one_lineage(stack: Arc<TestStack>) {
        let first = login(&stack, "admin", ADMIN_PASSWORD).await;
        let all = (0..50).map(|_| {
            let (stack, token) = (Arc::clone(&stack), first.refresh.clone());
            tokio::spawn(async move { Tokens::of(&try_refresh(&stack, &token).await.expect(200)).refresh })
        });
        let mut successors = BTreeSet::new();
        for one in all.collect::<Vec<_>>() {
            successors.insert(one.await.unwrap());
        }
        assert_eq!(successors.len(), 1);
        let _ = try_refresh(&stack, successors.first().unwrap()).await.expect(200);
    }

    async fn a_session_ends_when_it_rests_too_long(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        stack.clock.advance(TimeDelta::seconds(86_399));
        let tokens = Tokens::of(&try_refresh(&stack, &tokens.refresh).await.expect(200));
        stack.clock.advance(TimeDelta::seconds(86_400));
        let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
    }

    async fn a_session_ends_however_often_it_is_refreshed(stack: Arc<TestStack>) {
        let mut tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        for _ in 0..13 {
            stack.clock.advance(TimeDelta::hours(12));
            tokens = Tokens::of(&try_refresh(&stack, &tokens.refresh).await.expect(200));
        }
        stack.clock.advance(TimeDelta::hours(12) - TimeDelta::seconds(100));
        let last = try_refresh(&stack, &tokens.refresh).await.expect(200);
        assert_eq!(last.json()["expiresIn"], 100, "no token outlives its session");
        stack.clock.advance(TimeDelta::seconds(100));
        assert!(!is_good(&stack, &Tokens::of(&last).access).await);
        let _ = try_refresh(&stack, &Tokens::of(&last).refresh).await.expect(401);
    }

    async fn a_refreshed_token_says_what_the_user_is_now(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let _ = change(&stack, &id, json!({"roles": ["clinician"]})).await.expect(200);
        let _ = try_refresh(&stack, &tokens.refresh).await.expect(401);
        assert!(!is_good(&stack, &tokens.access).await);
        let tokens = login(&stack, "jane.roe", PASSWORD).await;
        let me = call_with(&stack, &tokens.access, Method::GET, "/api/auth/me", None).await.expect(200).json();
        assert_eq!(me["roles"], json!(["clinician"]));
    }

    async fn a_refresh_at_the_moment_of_a_change_of_roles_keeps_no_old_role(stack: Arc<TestStack>) {
        let id = create(&stack, "jane.roe", &["billing"]).await;
        for round in 0..5 {
            let mut tokens = login(&stack, "jane.roe", PASSWORD).await;
            let refreshing = tokio::spawn({
                let stack = Arc::clone(&stack);
                async move {
                    let mut issued = vec![tokens.access];
                    for _ in 0..4 {
                        let answer = try_refresh(&stack, &tokens.refresh).await;
                        if answer.status == 200 {
                            tokens = Tokens::of(&answer);
                            issued.push(tokens.access);
                        }
                    }
                    issued
                }
            });
            let roles = if round % 2 == 0 { "clinician" } else { "billing" };
            let _ = change(&stack, &id, json!({"roles": [roles]})).await.expect(200);
            for token in refreshing.await.unwrap() {
                assert!(!is_good(&stack, &token).await);
            }
        }
    }

    async fn what_is_no_refresh_token_is_refused(stack: Arc<TestStack>) {
        let tokens = login(&stack, "admin", ADMIN_PASSWORD).await;
        for token in ["x", &tokens.access[..500], &tokens.refresh[1..], &format!("{} ", tokens.refresh)] {
            let _ = try_refresh(&stack, token).await.expect(401);
        }
        let _ = try_refresh(&stack, &tokens.refresh).await.expect(200);
    }
}
