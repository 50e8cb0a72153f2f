//! What is repeated, how often, and what never is.

use super::*;

#[tokio::test]
async fn a_peer_that_is_not_there_is_asked_again_and_told_of() {
    let caller = Caller::new(&Peer::gone().await, &patient());
    let error = caller.ask::<Make>().await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable(_)), "{error}");
    assert_eq!(
        (caller.calls("unreached"), caller.retries("made")),
        (1, 2),
        "nothing was sent: a POST may be too"
    );
}

#[tokio::test]
async fn what_may_have_been_done_is_repeated_only_if_doing_it_twice_is_doing_it_once() {
    for does in [Does::Reset, Does::BreakOff, Does::Refuse(503, None), Does::Refuse(502, None)] {
        let peer = Peer::that(does).await;
        let caller = Caller::new(&peer.address, &patient());
        let mut asked = Vec::new();
        for method in [Method::Get, Method::Put, Method::Post, Method::Patch] {
            let before = peer.asked();
            let result = match method {
                Method::Get => caller.ask::<Look>().await,
                Method::Put => caller.ask::<Replace>().await,
                Method::Post => caller.ask::<Make>().await,
                _ => caller.ask::<Mend>().await,
            };
            result.unwrap_err();
            asked.push(peer.asked() - before);
        }
        assert_eq!(asked, [3, 3, 1, 1], "{does:?}");
    }
}

#[tokio::test]
async fn a_post_with_a_key_is_repeated_with_the_same_key() {
    let peer = Peer::that(Does::Reset).await;
    let caller = Caller::new(&peer.address, &patient());
    caller.transport.call_once::<Make>("evt_1", &[], &(), &()).await.unwrap_err();
    assert_eq!(peer.header("idempotency-key"), vec![Some("evt_1".to_owned()); 3]);
}

#[tokio::test]
async fn what_would_come_again_is_not_asked_for_again() {
    for status in [400, 404, 409, 500, 501] {
        let peer = Peer::that(Does::Refuse(status, None)).await;
        Caller::new(&peer.address, &patient()).look().await.unwrap_err();
        assert_eq!(peer.asked(), 1, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_waited_out() {
    let peer = Peer::that(Does::Refuse(503, Some(1))).await;
    let caller = Caller::new(&peer.address, &patient());
    let begun = Instant::now();
    let (result, ()) = tokio::join!(caller.look(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(peer.asked(), 1);
        peer.now(Does::Answer);
    });
    assert_eq!((result.unwrap(), peer.asked()), (42, 2));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nobody_waits_for_a_retry_after_beyond_the_deadline() {
    let peer = Peer::that(Does::Refuse(503, Some(30))).await;
    let caller = Caller::new(&peer.address, &patient());
    let begun = Instant::now();
    caller.look().await.unwrap_err();
    assert_eq!((peer.asked(), caller.retries("too_late"), caller.calls("failed")), (1, 1, 1));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

/// Without a breaker, which would spare the peer nearly all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_everything_fails_the_peer_is_asked_a_fifth_more_and_no_oftener() {
    const CALLS: usize = 2_000;
    let peer = Peer::that(Does::Refuse(503, None)).await;
    let caller = Arc::new(Caller::new(&peer.address, &patient()));
    let begun = Instant::now();
    let crowd = (0..40).map(|_| {
        let caller = Arc::clone(&caller);
        tokio::spawn(async move {
            for _ in 0..CALLS / 40 {
                caller.look().await.unwrap_err();
            }
        })
    });
    for one in crowd.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    // The budget's floor: ten a second, of the second that has begun too.
    let floor = 10 * (usize::try_from(begun.elapsed().as_secs()).unwrap() + 1);
    let most = CALLS + CALLS / 5 + floor;
    assert!((CALLS + CALLS / 10..=most).contains(&peer.asked()), "{} of at most {most}", peer.asked());
    assert!(caller.retries("over_budget") > 0);
    assert_eq!(caller.calls("failed"), CALLS as u64);
}

#[tokio::test]
async fn a_peer_that_drops_one_of_ten_is_not_noticed() {
    let peer = Peer::that(Does::ResetEach(10)).await;
    let caller = Caller::new(&peer.address, &ServiceCalls::default());
    for call in 0..300 {
        assert_eq!(caller.look().await.unwrap(), 42, "call {call}");
    }
    assert!(peer.asked() <= 360, "{}", peer.asked());
    assert_eq!((caller.breaker(), caller.calls("answered")), (0, 300));
}
