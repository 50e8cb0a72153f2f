//! [`Resource`]: a kind of thing that a service keeps, as tests call it; and the habits that every such thing has.

use std::sync::Arc;

use contracts::permission::Role;
use reqwest::Method;
use settings::ServiceName;

use crate::stack::{Reply, TestStack, Who, send};

/// Bills, records, ….
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Whose they are.
    pub service: ServiceName,
    /// Where they are: `/api/bills`.
    pub path: &'static str,
    /// The member that holds their id: `billId`.
    pub id: &'static str,
}

impl Resource {
    /// Calls their service.
    pub async fn call(
        &self,
        stack: &TestStack,
        who: impl Into<Who>,
        method: Method,
        path: &str,
        body: Option<&str>,
    ) -> Reply {
        stack.call(self.service, who, method, path, body).await
    }

    /// Creates one, as admin.
    pub async fn post(&self, stack: &TestStack, body: &str) -> Reply {
        self.call(stack, Role::Admin, Method::POST, self.path, Some(body)).await
    }

    /// Reads one, as admin.
    pub async fn get(&self, stack: &TestStack, id: &str) -> Reply {
        self.call(stack, Role::Admin, Method::GET, &self.path_of(id), None).await
    }

    /// Changes one, as admin.
    pub async fn put(&self, stack: &TestStack, id: &str, patch: &str) -> Reply {
        self.call(stack, Role::Admin, Method::PUT, &self.path_of(id), Some(patch)).await
    }

    /// Deletes one, as admin.
    pub async fn delete(&self, stack: &TestStack, id: &str) -> Reply {
        self.call(stack, Role::Admin, Method::DELETE, &self.path_of(id), None).await
    }

    /// The ids that a search finds, in its order.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn found(&self, stack: &TestStack, who: impl Into<Who>, query: &str) -> Vec<String> {
        let path = format!("{}?{query}", self.path);
        self.ids(&self.call(stack, who, Method::GET, &path, None).await.expect(200))
    }

    /// The ids that a search finds, page after page of three.
    ///
    /// # Panics
    /// If a page is refused, or holds more.
    pub async fn paged(&self, stack: &TestStack, filter: &str) -> Vec<String> {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{}?limit=3{filter}{cursor}", self.path);
            let page = self.call(stack, Role::Admin, Method::GET, &path, None).await.expect(200);
            let ids = self.ids(&page);
            assert!(ids.len() <= 3, "{ids:?}");
            seen.extend(ids);
            match page.json()["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return seen,
            }
        }
    }

    /// Of many who want one id at once, exactly one gets it.
    ///
    /// # Panics
    /// If not.
    pub async fn gives_an_id_once(&self, stack: &Arc<TestStack>, body: &str) {
        let all: Vec<_> = (0..8)
            .map(|_| {
                let (this, stack, body) = (*self, Arc::clone(stack), body.to_owned());
                tokio::spawn(async move { this.post(&stack, &body).await.status })
            })
            .collect();
        let mut statuses = Vec::new();
        for one in all {
            statuses.push(one.await.expect("an answer"));
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }

    /// A change or deletion of a version that is not the present one is refused, and changes nothing. `id` is as it was created.
    ///
    /// # Panics
    /// If not.
    pub async fn heeds_if_match(&self, stack: &TestStack, id: &str, patch: &str) {
        for method in [Method::PUT, Method::DELETE] {
            let request = self.request(stack, method, &self.path_of(id)).header("if-match", "\"v7\"");
            let refused = send(request.body(patch.to_owned())).await.expect(412);
            assert_eq!(refused.json()["code"], "precondition-failed");
        }
        assert_eq!(self.get(stack, id).await.expect(200).header("etag"), "\"v1\"");
    }

    /// The same POST with the same `Idempotency-Key` has the same answer and no further effect; another one is refused. Neither body
    /// brings an id, and there is none of the kind yet.
    ///
    /// # Panics
    /// If not.
    pub async fn remembers_an_idempotency_key(&self, stack: &TestStack, body: &str, other: &str) {
        let keyed = |body: &str| {
            let request = self.request(stack, Method::POST, self.path).header("idempotency-key", "k-1");
            send(request.body(body.to_owned()))
        };
        let first = keyed(body).await.expect(201);
        let again = keyed(body).await.expect(201);
        assert_eq!((&first.text, first.header("location")), (&again.text, again.header("location")));
        let _ = keyed(other).await.expect(422);
        assert_eq!(self.found(stack, Role::Admin, "").await.len(), 1);
    }

    fn request(&self, stack: &TestStack, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = stack.request(self.service, method, path).bearer_auth(stack.token(Role::Admin));
        request.header("content-type", "application/json")
    }

    fn path_of(&self, id: &str) -> String {
        format!("{}/{id}", self.path)
    }

    fn ids(&self, list: &Reply) -> Vec<String> {
        let items = list.json()["items"].as_array().cloned().expect("a list");
        items.iter().map(|item| item[self.id].as_str().expect("an id").to_owned()).collect()
    }
}
