//! A peer that fails is given a rest, and one that hangs does not take all there is.

use super::*;

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn opened(peer: &Peer, caller: &Caller) {
    for _ in 0..3 {
        assert_eq!(caller.breaker(), 0);
        caller.look().await.unwrap_err();
    }
    assert_eq!((caller.breaker(), peer.asked()), (2, 3));
}

#[tokio::test]
async fn a_peer_that_fails_is_spared_and_back_with_the_first_probe() {
    let peer = Peer::that(Does::Refuse(500, None)).await;
    let caller = Caller::new(&peer.address, &wary(1_000));
    opened(&peer, &caller).await;
    let rests_since = Instant::now();
    for _ in 0..50 {
        let error = caller.look().await.unwrap_err();
        assert!(error.to_string().contains("rests for"), "{error}");
    }
    assert!(rests_since.elapsed() < Duration::from_millis(700), "they are refused at once");
    assert_eq!((peer.asked(), caller.calls("open")), (3, 50));

    peer.now(Does::Answer);
    while caller.look().await.is_err() {
        assert!(rests_since.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let away = rests_since.elapsed();
    assert!(away < Duration::from_millis(1_900), "within one rest: {away:?}");
    assert_eq!((caller.breaker(), peer.asked()), (0, 4));
}

#[tokio::test]
async fn a_probe_that_fails_is_another_rest() {
    let peer = Peer::that(Does::Reset).await;
    let caller = Caller::new(&peer.address, &wary(200));
    opened(&peer, &caller).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    for _ in 0..20 {
        caller.look().await.unwrap_err();
    }
    assert_eq!((caller.breaker(), peer.asked()), (2, 4), "one probe of twenty");
}

#[tokio::test]
async fn an_open_breaker_is_not_knocked_at_with_repetitions() {
    let peer = Peer::that(Does::Refuse(503, None)).await;
    let calls = ServiceCalls { retries: patient().retries, ..wary(60_000) };
    let caller = Caller::new(&peer.address, &calls);
    caller.look().await.unwrap_err();
    assert_eq!((caller.breaker(), peer.asked(), caller.retries("made")), (2, 3, 2));
    let begun = Instant::now();
    caller.look().await.unwrap_err();
    assert_eq!((peer.asked(), caller.retries("made")), (3, 2));
    assert!(begun.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_peer_that_refuses_in_order_is_well() {
    let peer = Peer::that(Does::Shed).await;
    let caller = Caller::new(&peer.address, &wary(60_000));
    for _ in 0..10 {
        let error = caller.look().await.unwrap_err();
        assert!(matches!(error, ClientError::Problem(_)), "{error}");
    }
    assert_eq!((caller.breaker(), peer.asked()), (0, 10));
}

#[tokio::test]
async fn answers_that_take_too_long_open_it_too() {
    let peer = Peer::that(Does::AnswerAfter(Duration::from_millis(120))).await;
    let calls = wary(60_000);
    let circuit_breaker = Breaker { slow_call_ms: 50, ..calls.circuit_breaker };
    let caller = Caller::new(&peer.address, &ServiceCalls { circuit_breaker, ..calls });
    for _ in 0..3 {
        assert_eq!(caller.look().await.unwrap(), 42);
    }
    assert_eq!(caller.breaker(), 2);
}

#[tokio::test]
async fn a_probe_that_is_cancelled_makes_room_for_the_next() {
    let peer = Peer::that(Does::Reset).await;
    let caller = Arc::new(Caller::new(&peer.address, &wary(100)));
    opened(&peer, &caller).await;
    peer.now(Does::Hang);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let probing = Arc::clone(&caller);
    let probe = tokio::spawn(async move { probing.look().await });
    until("the probe arrives", || peer.asked() == 4).await;
    peer.now(Does::Answer);
    caller.look().await.unwrap_err();
    assert_eq!((caller.breaker(), peer.asked()), (1, 4), "one probe is out, and nobody else passes");
    probe.abort();
    probe.await.unwrap_err();
    assert_eq!(caller.look().await.unwrap(), 42);
    assert_eq!((caller.breaker(), caller.calls("cancelled")), (0, 1));
}

#[tokio::test]
async fn a_peer_that_hangs_takes_so_many_places_and_those_that_give_up_give_theirs_back() {
    let peer = Peer::that(Does::Hang).await;
    let caller = Arc::new(Caller::new(&peer.address, &ServiceCalls { calls_max: 3, ..patient() }));
    let hanging: Vec<_> = (0..3)
        .map(|_| {
            let caller = Arc::clone(&caller);
            tokio::spawn(async move { caller.look().await })
        })
        .collect();
    until("three are under way", || peer.asked() == 3).await;
    assert_eq!(caller.in_flight(), 3);
    peer.now(Does::Answer);
    let begun = Instant::now();
    let error = caller.look().await.unwrap_err();
    assert!(error.to_string().contains("3 calls are under way"), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(500), "it is refused at once");
    assert_eq!((peer.asked(), caller.calls("full")), (3, 1));

    // A question that is held open takes none.
    let held = caller.transport.call_within::<Look>(Duration::from_secs(20), &[], &(), &());
    assert_eq!(held.await.unwrap(), 42);
    for one in hanging {
        one.abort();
        one.await.unwrap_err();
    }
    assert_eq!((caller.look().await.unwrap(), caller.in_flight()), (42, 0));
}
