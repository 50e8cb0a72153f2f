//! How long a call takes at most.

use contracts::deadline;

use super::*;

/// Terms by which an attempt has 200 ms of half a second.
fn brisk() -> ServiceCalls {
    ServiceCalls { timeout_ms: 500, attempt_timeout_ms: 200, ..patient() }
}

#[tokio::test]
async fn a_peer_that_hangs_is_given_up_by_attempt_and_in_all() {
    let peer = Peer::that(Does::Hang).await;
    let caller = Caller::new(&peer.address, &brisk());
    let begun = Instant::now();
    caller.look().await.unwrap_err();
    let took = begun.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_millis(900)).contains(&took), "{took:?}");
    assert_eq!((peer.asked(), caller.calls("timeout")), (3, 1));

    let begun = Instant::now();
    caller.ask::<Make>().await.unwrap_err();
    assert_eq!(peer.asked(), 4, "a POST is asked once");
    assert!(begun.elapsed() < Duration::from_millis(450), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn each_attempt_says_how_long_it_is_waited_for() {
    let peer = Peer::that(Does::Hang).await;
    Caller::new(&peer.address, &brisk()).look().await.unwrap_err();
    let told: Vec<u64> =
        peer.header(deadline::HEADER).iter().map(|told| told.as_ref().unwrap().parse().unwrap()).collect();
    assert_eq!(told[..2], [200, 200]);
    assert!(told[2] <= 100, "what is left of half a second: {told:?}");
}

#[tokio::test]
async fn a_call_takes_no_longer_than_whoever_asked_waits() {
    let peer = Peer::that(Does::Hang).await;
    let caller = Caller::new(&peer.address, &patient());
    let begun = Instant::now();
    let until = begun + Duration::from_millis(150);
    deadline::within(Some(until), caller.look()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(600), "{:?}", begun.elapsed());
    let told = peer.header(deadline::HEADER)[0].as_ref().unwrap().parse::<u64>().unwrap();
    assert!((1..=150).contains(&told), "{told}");
}

#[tokio::test]
async fn with_no_time_left_nobody_is_asked() {
    let peer = Peer::that(Does::Answer).await;
    let caller = Caller::new(&peer.address, &patient());
    deadline::within(Some(Instant::now()), caller.look()).await.unwrap_err();
    assert_eq!((peer.asked(), caller.calls("no_time")), (0, 1));
    assert_eq!(deadline::within(None, caller.look()).await.unwrap(), 42);
}

#[tokio::test]
async fn callers_who_hardly_wait_say_nothing_of_the_peer_and_those_who_wait_do() {
    let peer = Peer::that(Does::AnswerAfter(Duration::from_millis(150))).await;
    let calls = wary(60_000);
    let circuit_breaker = Breaker { slow_call_ms: 1_000, ..calls.circuit_breaker };
    let caller = Caller::new(&peer.address, &ServiceCalls { circuit_breaker, ..calls });
    let within = async |ms| {
        let until = Instant::now() + Duration::from_millis(ms);
        deadline::within(Some(until), caller.look()).await
    };
    for _ in 0..10 {
        within(20).await.unwrap_err();
    }
    // Told how long there is, it may give up first.
    peer.now(Does::Refuse(504, None));
    for _ in 0..10 {
        within(150).await.unwrap_err();
    }
    assert_eq!((caller.breaker(), caller.calls("answered")), (0, 0));
    peer.now(Does::AnswerAfter(Duration::from_millis(150)));
    assert_eq!(caller.look().await.unwrap(), 42);

    peer.now(Does::Hang);
    for _ in 0..3 {
        within(400).await.unwrap_err();
    }
    assert_eq!(caller.breaker(), 2, "a peer that is silent for 400 ms is not well");
}

#[tokio::test]
async fn a_question_that_is_held_open_may_take_its_time() {
    let peer = Peer::that(Does::AnswerAfter(Duration::from_millis(700))).await;
    let caller = Caller::new(&peer.address, &brisk());
    let held = caller.transport.call_within::<Look>(Duration::from_secs(5), &[], &(), &());
    assert_eq!(held.await.unwrap(), 42);
    let told = peer.header(deadline::HEADER)[0].as_ref().unwrap().parse::<u64>().unwrap();
    assert!((4_000..=5_000).contains(&told), "{told}");
}
