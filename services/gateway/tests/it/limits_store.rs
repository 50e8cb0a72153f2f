//! Gateways that count together, and what becomes of them when the store does not do what it should.

use std::path::Path;
use std::time::{Duration, Instant};

use contracts::permission::Role;
use futures_util::future::join_all;
use settings::{GatewayConfig, Method, RateLimit, RateLimits, SecretRef, StoreTls};

use crate::backend::Backend;
use crate::house::{House, config, guarded, public};
use crate::redis::Redis;

/// Two replicas before the same backend, with a limit for each address.
fn shared(backend: &Backend, redis: &Redis, limit: RateLimit) -> GatewayConfig {
    let mut config = config(vec![backend.address.clone()], vec![public(Method::Get, "/x")]);
    config.rate_limits = RateLimits { per_client: Some(limit), ..RateLimits::default() };
    config.rate_limit_store = Some(redis.store());
    config.replicas = 2;
    config
}

/// So slow that no test runs long enough to earn much.
const fn slow(burst: u32) -> RateLimit {
    RateLimit { requests_per_second: 1, burst }
}

/// A number on the page of metrics.
fn metric(house: &House, name: &str) -> i64 {
    let page = house.metrics.page();
    let line = page.lines().find(|line| line.starts_with(&format!("healthcare_gateway_limit_store_{name}")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn connected(house: &House, connections: i64) {
    until("connected to the store", async || metric(house, "connections") == connections).await;
}

async fn started(config: &GatewayConfig) -> House {
    let house = House::with(config.clone()).await;
    connected(&house, 1).await;
    house
}

/// What came of requests on many connections at once.
#[derive(Debug, Default)]
struct Outcome {
    through: u32,
    refused: u32,
    slowest: Duration,
}

/// Asks each of the houses at once, on several connections each. An answer that is neither 200 nor 429 fails the test.
async fn storm(houses: &[&House], askers: usize, times: usize) -> Outcome {
    let askers = houses.iter().flat_map(|house| (0..askers).map(move |_| house));
    let outcomes = join_all(askers.map(|house| async {
        let mut client = house.client().await;
        let mut outcome = Outcome::default();
        for _ in 0..times {
            let asked = Instant::now();
            let answer = client.ask("GET", "/x", &[], "").await;
            outcome.slowest = outcome.slowest.max(asked.elapsed());
            match answer.status {
                200 => outcome.through += 1,
                429 => outcome.refused += 1,
                _ => panic!("{answer:?}"),
            }
        }
        outcome
    }))
    .await;
    outcomes.into_iter().fold(Outcome::default(), |sum, one| Outcome {
        through: sum.through + one.through,
        refused: sum.refused + one.refused,
        slowest: sum.slowest.max(one.slowest),
    })
}

fn whole_seconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_secs()).unwrap() + 1
}

#[tokio::test]
async fn two_replicas_admit_the_burst_to_the_request_and_no_more() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let config = shared(&backend, &redis, slow(101));
    let (one, other) = (started(&config).await, started(&config).await);
    let begun = Instant::now();
    let outcome = storm(&[&one, &other], 5, 20).await;
    assert!((101..=101 + whole_seconds(begun)).contains(&outcome.through), "{outcome:?}");

    let refused = other.get("/x").await;
    assert_eq!((refused.status, refused.header("ratelimit")), (429, Some("\"client\";r=0;t=1")));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(metric(&one, "fallbacks_total") + metric(&other, "fallbacks_total"), 0);
}

#[tokio::test]
async fn over_time_two_replicas_admit_burst_and_rate() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let config = shared(&backend, &redis, RateLimit { requests_per_second: 100, burst: 10 });
    let (one, other) = (started(&config).await, started(&config).await);
    let begun = Instant::now();
    let mut through = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        through += storm(&[&one, &other], 2, 5).await.through;
    }
    // Until the last answer, which was counted before it came.
    let most = 10 + u32::try_from(begun.elapsed().as_millis() / 10).unwrap();
    assert!(through <= most, "{through} of {most}");
    assert!(through * 10 >= most * 8, "{through} of {most}: what may pass does pass");
}

#[tokio::test]
async fn a_user_has_one_bucket_over_replicas_threads_and_tokens() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let mut config = shared(&backend, &redis, slow(1_000));
    config.routes = vec![guarded(Method::Get, "/x", &[])];
    config.rate_limits.per_user = Some(slow(30));
    let (one, other) = (House::on_threads(config.clone(), 2).await, House::on_threads(config, 2).await);
    for house in [&one, &other] {
        connected(house, 2).await;
    }
    let begun = Instant::now();
    let mut through = 0;
    for _ in 0..10 {
        for house in [&one, &other] {
            house.clock.advance(chrono::TimeDelta::milliseconds(7));
            let token = house.token("usr_1", Role::Admin);
            for _ in 0..4 {
                through += u32::from(house.get_as(&token, "/x").await.status == 200);
            }
        }
    }
    assert!((30..=30 + whole_seconds(begun)).contains(&through), "{through}");
    let token = one.token("usr_2", Role::Admin);
    assert_eq!(one.get_as(&token, "/x").await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_no_good_counts_for_its_address_at_all_replicas() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let mut config = shared(&backend, &redis, slow(4));
    config.routes = vec![guarded(Method::Get, "/x", &[])];
    let (one, other) = (started(&config).await, started(&config).await);
    for house in [&one, &other, &one, &other] {
        assert_eq!(house.get_as("forged", "/x").await.status, 401);
    }
    assert_eq!(one.get_as("forged", "/x").await.status, 429);
    assert_eq!(other.get_as("forged", "/x").await.status, 429);
}

#[tokio::test]
async fn who_is_refused_by_one_limit_takes_nothing_of_the_others() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let mut config = shared(&backend, &redis, slow(2));
    config.rate_limits.total = Some(slow(4));
    config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    let (one, other) = (started(&config).await, started(&config).await);
    let from = async |house: &House, address: &str| {
        house.ask("GET", "/x", &[("x-forwarded-for", address)], "").await
    };
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(from(&one, "192.0.2.1").await.status);
        statuses.push(from(&other, "192.0.2.1").await.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429, 429, 429, 429, 429]);
    assert_eq!(from(&one, "192.0.2.2").await.status, 200);
    assert_eq!(from(&other, "192.0.2.3").await.header("ratelimit"), Some("\"total\";r=0;t=4"));
    let refused = from(&one, "192.0.2.4").await;
    assert!(refused.status == 429 && refused.text().contains("all callers together"), "{refused:?}");
}

#[tokio::test]
async fn what_was_refused_for_all_is_refused_here_without_asking_again() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let config = shared(&backend, &redis, slow(20));
    let (one, other) = (started(&config).await, started(&config).await);
    storm(&[&one], 1, 25).await;
    let asked = metric(&other, "checks_total");
    let begun = Instant::now();
    let outcome = storm(&[&other], 1, 200).await;
    let asked = metric(&other, "checks_total") - asked;
    assert!(outcome.through <= whole_seconds(begun), "{outcome:?}");
    assert!(asked <= 2 * i64::from(whole_seconds(begun)), "the store was asked {asked} times");
}

#[tokio::test]
async fn nobody_who_looks_into_the_store_reads_who_asks_and_nothing_stays_there() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let mut config = shared(&backend, &redis, RateLimit { requests_per_second: 1, burst: 2 });
    config.routes = vec![guarded(Method::Get, "/x", &[])];
    config.rate_limits.per_user = Some(slow(2));
    let house = started(&config).await;
    assert_eq!(house.get_as(&house.token("usr_john", Role::Admin), "/x").await.status, 200);
    let keys = redis.ask(&["keys", "*"]);
    assert_eq!(keys.lines().filter(|key| key.starts_with("{test}:")).count(), 2, "{keys}");
    assert!(!keys.contains("john") && !keys.contains("127.0.0.1"), "{keys}");
    until("a full bucket is forgotten", async || redis.ask(&["dbsize"]).trim() == "0").await;
}

#[tokio::test]
async fn a_store_killed_under_load_fails_no_request_and_counts_again_when_it_is_back() {
    let (backend, mut redis) = (Backend::echo().await, Redis::start(&[]).await);
    let config = shared(&backend, &redis, slow(400));
    let (one, other) = (started(&config).await, started(&config).await);
    let begun = Instant::now();
    let houses = [&one, &other];
    let (outcome, ()) = tokio::join!(storm(&houses, 4, 150), async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        redis.process.cut();
    });
    // The store let some through, and then each of the two its half, of which what the store had counted was taken.
    assert!(outcome.through <= 400 + 400 + 2 * whole_seconds(begun), "{outcome:?}");
    assert!(outcome.refused > 0, "local limits hold: {outcome:?}");
    assert!(metric(&one, "fallbacks_total") > 0 && metric(&other, "fallbacks_total") > 0);

    redis.again().await;
    for house in houses {
        connected(house, 1).await;
    }
    // The new one knows nothing; but what is owed here is remembered here.
    let fallbacks = metric(&one, "fallbacks_total");
    let outcome = storm(&houses, 2, 10).await;
    assert_eq!(metric(&one, "fallbacks_total"), fallbacks, "{outcome:?}");
}

#[tokio::test]
async fn a_store_that_hangs_is_waited_for_three_times_and_no_more() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let mut config = shared(&backend, &redis, slow(1_000));
    config.rate_limit_store.as_mut().unwrap().timeout_ms = 200;
    let house = started(&config).await;
    redis.process.signal("STOP");
    let mut waited = 0;
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(house.get("/x").await.status, 200);
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        waited += u32::from(asked.elapsed() >= Duration::from_millis(200));
    }
    assert_eq!(waited, 3);
    assert_eq!(metric(&house, "fallbacks_total"), 20);
    assert_eq!(metric(&house, "connections"), 0);

    redis.process.signal("CONT");
    connected(&house, 1).await;
    assert_eq!(house.get("/x").await.status, 200);
    assert_eq!(metric(&house, "fallbacks_total"), 20, "it counts again");
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_none() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&["--maxmemory-policy", "noeviction"]).await);
    let config = shared(&backend, &redis, slow(1_000));
    let house = started(&config).await;
    let nowhere = ["replicaof", "127.0.0.1", "1"];
    for (breaks, heals) in [
        (&["config", "set", "maxmemory", "1"][..], &["config", "set", "maxmemory", "0"][..]),
        (&nowhere[..], &["replicaof", "no", "one"][..]),
    ] {
        assert_eq!(redis.ask(breaks).trim(), "OK");
        let before = metric(&house, "fallbacks_total");
        for _ in 0..5 {
            assert_eq!(house.get("/x").await.status, 200);
        }
        assert!(metric(&house, "fallbacks_total") >= before + 3);
        assert_eq!(metric(&house, "connections"), 0, "it is not asked for nothing");
        assert_eq!(redis.ask(heals).trim(), "OK");
        connected(&house, 1).await;
    }
}

#[tokio::test]
async fn a_store_that_forgot_the_script_is_told_again() {
    let (backend, redis) = (Backend::echo().await, Redis::start(&[]).await);
    let house = started(&shared(&backend, &redis, slow(10))).await;
    assert_eq!(house.get("/x").await.status, 200);
    assert_eq!(redis.ask(&["script", "flush"]).trim(), "OK");
    let answer = house.get("/x").await;
    assert!(answer.header("ratelimit").unwrap().starts_with("\"client\";r=8;"), "{answer:?}");
    assert_eq!(metric(&house, "fallbacks_total"), 0);
}

/// A gateway whose store wants a password, which is read from a file.
fn with_password(config: &mut GatewayConfig, secrets: &Path, password: &str) {
    std::fs::create_dir_all(secrets.join("limits")).unwrap();
    std::fs::write(secrets.join("limits/password"), format!("{password}\n")).unwrap();
    let secret = SecretRef { secret: "limits".to_owned(), key: "password".to_owned() };
    config.rate_limit_store.as_mut().unwrap().password = Some(secret);
}

#[tokio::test]
async fn a_wrong_password_means_local_limits_and_the_right_one_is_noticed() {
    let log = crate::house::captured_log();
    let secrets = tempfile::tempdir().unwrap();
    let (backend, redis) = (Backend::echo().await, Redis::start(&["--requirepass", "right-one"]).await);
    let mut config = shared(&backend, &redis, slow(4));
    with_password(&mut config, secrets.path(), "wrong-one");
    let house = House::with_secrets(config.clone(), secrets.path()).await;
    let statuses = [house.get("/x").await.status, house.get("/x").await.status, house.get("/x").await.status];
    assert_eq!(statuses, [200, 200, 429], "half of the burst is this replica's");
    assert_eq!(metric(&house, "fallbacks_total"), 3);
    until("the log says so", async || log.lock().unwrap().contains("authentication failed")).await;

    with_password(&mut config, secrets.path(), "right-one");
    connected(&house, 1).await;
    let log = log.lock().unwrap();
    assert!(!log.contains("right-one") && !log.contains("wrong-one"), "a password is in the log");
}

#[tokio::test]
async fn a_store_that_is_not_there_at_the_start_holds_nothing_up() {
    let (backend, mut redis) = (Backend::echo().await, Redis::start(&[]).await);
    redis.process.cut();
    let house = House::with(shared(&backend, &redis, slow(4))).await;
    assert_eq!(house.get("/x").await.status, 200);
    assert!(house.gateway.is_ready().await);
    redis.again().await;
    connected(&house, 1).await;
}

#[tokio::test]
async fn another_store_and_none_come_into_force_while_it_runs() {
    let backend = Backend::echo().await;
    let (old, new) = (Redis::start(&[]).await, Redis::start(&[]).await);
    let mut config = shared(&backend, &old, slow(10));
    let house = started(&config).await;
    assert_eq!(house.get("/x").await.status, 200);
    config.rate_limit_store = Some(new.store());
    house.gateway.apply(config.clone()).unwrap();
    until("the new one counts", async || {
        house.get("/x").await;
        new.ask(&["dbsize"]).trim() != "0"
    })
    .await;
    until("the old one is let go", async || !old.ask(&["client", "list"]).contains("cmd=evalsha")).await;
    config.rate_limit_store = None;
    house.gateway.apply(config).unwrap();
    connected(&house, 0).await;
    let fallbacks = metric(&house, "fallbacks_total");
    house.get("/x").await;
    assert_eq!(metric(&house, "fallbacks_total"), fallbacks, "there is nothing to miss");
}

#[tokio::test]
async fn over_tls_the_store_is_believed_by_its_authority_alone() {
    let certificates = tempfile::tempdir().unwrap();
    let secrets = tempfile::tempdir().unwrap();
    let authority = crate::upstream_tls::Authority::new();
    authority.write_for("127.0.0.1", certificates.path(), &[&authority]);
    let stranger = crate::upstream_tls::Authority::new();
    std::fs::create_dir(secrets.path().join("limits")).unwrap();
    let believed = |authority: &crate::upstream_tls::Authority| {
        std::fs::write(secrets.path().join("limits/ca.crt"), &authority.certificate).unwrap();
    };
    believed(&stranger);

    let file = |name: &str| certificates.path().join(name).to_str().unwrap().to_owned();
    let arguments = ["--tls-port", "PORT", "--tls-auth-clients", "no", "--tls-cert-file"];
    let (certificate, key, ca) = (file("tls.crt"), file("tls.key"), file("ca.crt"));
    let arguments =
        [&arguments[..], &[&certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca]].concat();
    let (backend, redis) = (Backend::echo().await, Redis::start(&arguments).await);
    let mut config = shared(&backend, &redis, slow(4));
    let ca = SecretRef { secret: "limits".to_owned(), key: "ca.crt".to_owned() };
    config.rate_limit_store.as_mut().unwrap().tls = Some(StoreTls { ca: Some(ca) });
    let house = House::with_secrets(config, secrets.path()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((house.get("/x").await.status, metric(&house, "connections")), (200, 0));
    believed(&authority);
    connected(&house, 1).await;
    assert_eq!(house.get("/x").await.status, 200);
}
