//! The first administrator, and users of demo data.

use auth::password::Hasher;
use auth::seed::{self, first_admin};
use auth::store::account::account_list;
use contracts::permission::Role;
use http_kit::page::Window;
use testkit::TestDb;

use super::*;

async fn names(db: &db::Db) -> Vec<String> {
    let window = Window { after: None, limit: 200 };
    let accounts = account_list(&mut db.read().await.unwrap(), db, &window).await.unwrap();
    accounts.into_iter().map(|(_, kept)| kept.account.user.username.to_string()).collect()
}

testkit::on_both_engines! {
    migrations = auth::MIGRATIONS;
    service = ServiceName::AuthService;

    async fn of_several_replicas_that_start_at_once_one_creates_the_administrator(test: TestDb) {
        let mut replicas = Vec::new();
        for _ in 0..4 {
            let db = test.open_again().await;
            let hasher = Hasher::new(db.random().clone());
            replicas.push(tokio::spawn(async move {
                first_admin(&db, &hasher, Some("the first password")).await.unwrap();
                db.close().await;
            }));
        }
        for replica in replicas {
            replica.await.unwrap();
        }
        assert_eq!(names(test.db()).await, ["admin"]);
    }

    async fn without_a_password_nobody_is_created_and_a_short_one_is_refused(test: TestDb) {
        let hasher = Hasher::new(test.db().random().clone());
        first_admin(test.db(), &hasher, None).await.unwrap();
        let error = first_admin(test.db(), &hasher, Some("short")).await.unwrap_err();
        assert!(error.to_string().contains("8 to 256"), "{error}");
        assert!(names(test.db()).await.is_empty());
    }

    async fn where_there_is_a_user_the_first_password_means_nothing(test: TestDb) {
        let hasher = Hasher::new(test.db().random().clone());
        seed::user(test.db(), "JohnDoe", "password123", &[Role::Admin]).await.unwrap();
        first_admin(test.db(), &hasher, Some("the first password")).await.unwrap();
        assert_eq!(names(test.db()).await, ["johndoe"]);
        let taken = seed::user(test.db(), "johndoe", "password123", &[Role::Admin]).await;
        assert!(matches!(taken, Err(auth::Error::Taken)));
    }
}

testkit::stack_tests! { services = [auth::SERVICE];
    async fn the_documents_own_user_logs_in_where_demo_data_has_it(stack: Arc<TestStack>) {
        let db = stack.database(ServiceName::AuthService).open_again().await;
        seed::user(&db, "johndoe", "password123", &[Role::Admin]).await.unwrap();
        db.close().await;
        let _ = login(&stack, "johndoe", "password123").await;
    }
}
