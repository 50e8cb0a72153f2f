//! What somebody is here is what the provider says of them, at each login anew.

use super::*;

async fn no_role(scene: &Scene, account: &str) {
    let told = scene.log_in(account).await.expect(403).json();
    assert_eq!((&told["code"], &told["detail"]), (&json!("no-role"), &Value::Null), "{told}");
    let entry = last_entry(&scene.stack).await;
    assert_eq!((&entry["outcome"], &entry["code"]), (&json!("Refused"), &json!("no-role")));
}

async fn users(scene: &Scene) -> usize {
    let users =
        call(&scene.stack, Role::Admin, Method::GET, "/api/auth/users", None).await.expect(200).json();
    users["items"].as_array().unwrap().len()
}

with_providers! {
    async fn whoever_has_no_role_there_is_nobody_here(scene: Scene) {
        for roles in [json!(["nurses"]), json!([]), json!({"doctors": true}), json!(["DOCTORS"]), Value::Null] {
            scene.provider.knows(json!({"eve": {"roles": roles}}));
            no_role(&scene, "eve").await;
        }
        assert_eq!(users(&scene).await, 1, "no account was made");
    }

    async fn roles_follow_those_at_the_provider(scene: Scene) {
        let stack = &scene.stack;
        let before = scene.tokens("jane").await;
        scene.provider.knows(json!({"jane": {"roles": ["it", "doctors"]}}));
        let after = scene.tokens("jane").await;
        assert_eq!(me(stack, &after.access).await["roles"], json!(["admin", "clinician"]));
        assert!(!is_good(stack, &before.access).await, "it says what is no longer so");
        let _ = try_refresh(stack, &before.refresh).await.expect(401);
        assert!(last_entry(stack).await["reason"].as_str().unwrap().contains("are others there"));

        let same = scene.tokens("jane").await;
        assert!(is_good(stack, &after.access).await && is_good(stack, &same.access).await, "nothing has changed");
    }

    async fn a_role_that_is_taken_away_there_is_taken_away_here_with_all_sessions(scene: Scene) {
        let stack = &scene.stack;
        let before = scene.tokens("jane").await;
        let id = me(stack, &before.access).await["userId"].as_str().unwrap().to_owned();
        scene.provider.knows(json!({"jane": {"roles": ["nurses"]}}));
        no_role(&scene, "jane").await;
        assert!(!is_good(stack, &before.access).await);
        let _ = try_refresh(stack, &before.refresh).await.expect(401);
        let user = call(stack, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200).json();
        assert_eq!((&user["roles"], &user["status"]), (&json!([]), &json!("Active")));
        scene.provider.knows(json!({"jane": {"roles": ["doctors"]}}));
        let back = me(stack, &scene.tokens("jane").await.access).await;
        assert_eq!((&back["userId"], &back["roles"]), (&json!(id), &json!(["clinician"])));
    }

    async fn a_role_that_the_clinic_made_may_what_it_may_now(scene: Scene) {
        let stack = &scene.stack;
        scene.provider.knows(json!({"lee": {"roles": "lab"}}));
        no_role(&scene, "lee").await;
        let lab = json!({"role": "lab", "permissions": ["records:read"]});
        let _ = call(stack, Role::Admin, Method::POST, "/api/auth/roles", Some(lab)).await.expect(201);
        let told = me(stack, &scene.tokens("lee").await.access).await;
        assert_eq!((&told["roles"], &told["permissions"]), (&json!(["lab"]), &json!(["records:read"])));
        let _ = call(stack, Role::Admin, Method::DELETE, "/api/auth/roles/lab", None).await.expect(200);
        no_role(&scene, "lee").await;
    }

    async fn what_an_administrator_gives_goes_with_the_next_login_and_a_tie_stays(scene: Scene) {
        let stack = &scene.stack;
        let id = me(stack, &scene.tokens("jane").await.access).await["userId"].as_str().unwrap().to_owned();
        let _ = change(stack, &id, json!({"roles": ["clinician", "billing"]})).await.expect(200);
        assert_eq!(me(stack, &scene.tokens("jane").await.access).await["roles"], json!(["clinician"]));
    }
}
