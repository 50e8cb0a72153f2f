//! What a list is good for while nobody says who was logged out.

use super::*;

const BOUND: Duration = Duration::from_secs(30);

fn clock() -> Clock {
    Clock::set_to(chrono::DateTime::from_timestamp(1_768_467_600, 0).unwrap())
}

/// A list that somebody watches grow old.
fn watched(list: RevocationList) -> Arc<RevocationList> {
    let list = Arc::new(list);
    let watched = Arc::clone(&list);
    tokio::spawn(async move { watched.grow_old().await });
    list
}

async fn later(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(1)).await;
}

fn seen(list: &RevocationList) -> (bool, bool) {
    (list.is_unread(), list.is_stale())
}

#[tokio::test(start_paused = true)]
async fn it_is_unread_until_it_is_read_stale_after_the_bound_and_fresh_when_it_is_heard_of_again() {
    let list = watched(RevocationList::followed(BOUND));
    later(100).await;
    assert_eq!(seen(&list), (true, true), "time does not make it read");
    list.hear(&[], &clock());
    list.caught_up().await;
    assert_eq!(seen(&list), (false, false));
    later(29).await;
    list.hear(&[], &clock());
    later(29).await;
    assert_eq!(seen(&list), (false, false), "it counts from the last word");
    later(1).await;
    assert_eq!(seen(&list), (false, true));
    list.hear(&[], &clock());
    assert_eq!(seen(&list), (false, false), "at once");
    later(30).await;
    assert_eq!(seen(&list), (false, true), "and from there on anew");
}

#[tokio::test(start_paused = true)]
async fn another_bound_counts_at_once() {
    let list = watched(RevocationList::followed(BOUND));
    list.hear(&[], &clock());
    later(20).await;
    list.set_stale_after(Duration::from_secs(10));
    assert_eq!(seen(&list), (false, true));
    list.set_stale_after(Duration::from_secs(40));
    assert_eq!(seen(&list), (false, false));
    later(19).await;
    assert_eq!(seen(&list), (false, false));
    later(1).await;
    assert_eq!(seen(&list), (false, true));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_nobody_brings_does_not_grow_old() {
    let list = watched(RevocationList::default());
    later(10 * 86_400).await;
    assert_eq!(seen(&list), (false, false));
}

#[tokio::test(start_paused = true)]
async fn whoever_begins_waits_for_it_and_not_for_ever() {
    let list = RevocationList::followed(BOUND);
    let begun = Instant::now();
    list.catch_up().await;
    assert_eq!((begun.elapsed(), list.is_unread()), (CATCH_UP_MAX, true));
    list.hear(&[], &clock());
    list.catch_up().await;
    assert_eq!(begun.elapsed(), CATCH_UP_MAX);
}
