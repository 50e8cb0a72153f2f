//! An account that belongs to somebody at a provider, as administrators see it.

use super::*;

async fn id_at(scene: &Scene, account: &str) -> String {
    let tokens = scene.tokens(account).await;
    me(&scene.stack, &tokens.access).await["userId"].as_str().unwrap().to_owned()
}

with_providers! {
    async fn a_disabled_account_stays_disabled(scene: Scene) {
        let stack = &scene.stack;
        let tokens = scene.tokens("jane").await;
        let id = me(stack, &tokens.access).await["userId"].as_str().unwrap().to_owned();
        let _ = change(stack, &id, json!({"status": "Disabled"})).await.expect(200);
        assert!(!is_good(stack, &tokens.access).await);
        refused(stack, scene.log_in("jane").await, "disabled").await;
        scene.provider.knows(json!({"jane": {"roles": ["it"]}}));
        refused(stack, scene.log_in("jane").await, "disabled").await;
        let user = call(stack, Role::Admin, Method::GET, &format!("/api/auth/users/{id}"), None).await.expect(200).json();
        assert_eq!((&user["roles"], &user["status"]), (&json!(["clinician"]), &json!("Disabled")));
        let _ = change(stack, &id, json!({"status": "Active"})).await.expect(200);
        assert_eq!(id_at(&scene, "jane").await, id);
    }

    async fn it_has_no_password_and_is_given_none(scene: Scene) {
        let stack = &scene.stack;
        let id = id_at(&scene, "jane").await;
        for password in ["", " ", PASSWORD] {
            let reply = try_login(stack, "staff.jane", password).await;
            assert!([401, 422].contains(&reply.status), "{}", reply.text);
        }
        let path = format!("/api/auth/users/{id}/password");
        let new = json!({"newPassword": PASSWORD});
        let told = call(stack, Role::Admin, Method::PUT, &path, Some(new)).await.expect(409).json();
        assert_eq!(told["detail"], "The account has no password: its owner logs in at an identity provider.");
        let own = json!({"currentPassword": PASSWORD, "newPassword": "a long enough pass phrase"});
        let tokens = scene.tokens("jane").await;
        let reply = call_with(stack, &tokens.access, Method::PUT, "/api/auth/me/password", Some(own)).await;
        assert_eq!(reply.expect(422).faults(), ["currentPassword"]);
    }

    async fn one_that_was_deleted_is_not_taken_up_again(scene: Scene) {
        let stack = &scene.stack;
        let first = id_at(&scene, "jane").await;
        let _ = call(stack, Role::Admin, Method::DELETE, &format!("/api/auth/users/{first}"), None).await.expect(200);
        let tokens = scene.tokens("jane").await;
        let second = me(stack, &tokens.access).await;
        assert_ne!(second["userId"], json!(first));
        let name = second["username"].as_str().unwrap();
        assert!(name.starts_with("staff.jane.") && name.len() == "staff.jane.abcd".len(), "{name}: the old name stays taken");
    }

    async fn somebody_of_the_same_name_is_somebody_else(scene: Scene) {
        let stack = &scene.stack;
        let local = create(stack, "staff.jane", &["billing"]).await;
        let told = me(stack, &scene.tokens("jane").await.access).await;
        assert_ne!(told["userId"], json!(local));
        let _ = login(stack, "staff.jane", PASSWORD).await;
    }

    async fn the_last_administrator_is_one_with_a_password(scene: Scene) {
        let stack = &scene.stack;
        let outside = id_at(&scene, "joe").await;
        let admin = id_of(stack, "admin").await;
        let told = change(stack, &admin, json!({"status": "Disabled"})).await.expect(409).json();
        assert_eq!(told["code"], "invalid-transition", "{told}");
        let _ = call(stack, Role::Admin, Method::DELETE, &format!("/api/auth/users/{admin}"), None).await.expect(409);
        let _ = change(stack, &outside, json!({"status": "Disabled"})).await.expect(200);
    }

    async fn nothing_of_who_it_is_there_opens_to_whoever_has_the_files(scene: Scene) {
        scene.provider.knows(json!({"248289761001": {"roles": ["doctors"], "preferred_username": "jane.roe@clinic.example"}}));
        let told = me(&scene.stack, &scene.tokens("248289761001").await.access).await;
        assert_eq!(told["username"], "staff.jane.roe@clinic.example");
        let database = scene.stack.database(ServiceName::AuthService);
        database.no_file_holds(&["248289761001", "jane.roe@clinic", &scene.provider.issuer]);
    }
}
