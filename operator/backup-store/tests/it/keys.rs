//! Keys that are brought between backups: never in the place of newer ones, whoever is slow.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use backup_store::KeysPut;
use chrono::TimeDelta;

use crate::world::{BUCKET, World};

fn there(world: &World, name: &str) -> PathBuf {
    world.server.path(BUCKET, &format!("east/clinic/keys/{name}"))
}

fn keys_there(world: &World) -> String {
    fs::read_to_string(there(world, "keys.dump")).unwrap()
}

#[tokio::test]
async fn newer_keys_take_the_place_of_a_backups_and_open_it() {
    let world = World::new();
    world.take("20261124T020000Z", b"data", b"at night");
    world.put(7).await.unwrap();
    world.take_keys("20261124T121500.000001Z", b"at noon");
    assert_eq!(world.put_keys().await.unwrap(), KeysPut::There);
    assert_eq!(keys_there(&world), "at noon");
    assert_eq!(world.objects().len(), 3, "nobody is on the way any more: {:?}", world.objects());
    for late in ["20261124T121500.000000Z", "20261124T120000.000000Z", "20261124T010000.000000Z"] {
        world.take_keys(late, b"late");
        assert_eq!(world.put_keys().await.unwrap(), KeysPut::NewerAreThere);
        assert_eq!(keys_there(&world), "at noon");
    }
    world.forget();
    world.get(None).await.unwrap();
    assert!(world.is_as_restore_sh_wants_it("20261124T020000Z"));
    assert_eq!(fs::read(world.path("keys").join(&world.files("keys")[0])).unwrap(), b"at noon");
}

#[tokio::test]
async fn a_backup_leaves_newer_keys_that_came_while_its_data_was_on_the_way() {
    let world = World::new();
    world.take_keys("20261124T021500.000000Z", b"newer");
    world.put_keys().await.unwrap();
    world.take("20261124T020000Z", b"data", b"its own");
    world.put(7).await.unwrap();
    assert_eq!(keys_there(&world), "newer");
}

#[tokio::test]
async fn older_keys_that_come_late_do_not_stay_in_the_place_of_a_backups() {
    let world = World::new();
    world.take_keys("20261124T015959.000000Z", b"older");
    world.put_keys().await.unwrap();
    // Whoever brings them has said so, and is slow.
    let (keys, announced) = (there(&world, "keys.dump"), there(&world, "on-their-way"));
    fs::rename(&keys, &announced).unwrap();
    world.take("20261124T020000Z", b"data", b"the backup's");
    let put = world.put(7);
    let late = async {
        while !keys.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert!(!world.objects().iter().any(|object| object.ends_with("SHA256SUMS")), "it is no backup yet");
        fs::rename(&announced, &keys).unwrap();
    };
    let (put, ()) = tokio::join!(put, late);
    put.unwrap();
    assert_eq!(keys_there(&world), "the backup's");
}

#[tokio::test]
async fn keys_of_a_time_to_come_keep_nobodys_away_in_silence() {
    let world = World::new();
    let later = contracts::ambient::Clock::system().now() + TimeDelta::hours(1);
    world.take_keys(&later.format("%Y%m%dT%H%M%S%.6fZ").to_string(), b"of tomorrow");
    world.put_keys().await.unwrap();
    world.take_keys("20261124T120000.000000Z", b"of today");
    let error = world.put_keys().await.unwrap_err().to_string();
    assert!(error.contains("a clock is wrong"), "{error}");
    world.forget();
    world.take("20261124T020000Z", b"data", b"of today");
    let error = world.put(7).await.unwrap_err().to_string();
    assert!(error.contains("a clock is wrong"), "{error}");
}

#[tokio::test]
async fn keys_without_a_time_are_not_brought_between_backups() {
    let world = World::new();
    world.take("20261124T020000Z", b"data", b"keys");
    let error = world.put_keys().await.unwrap_err().to_string();
    assert!(error.contains("TAKEN"), "{error}");
    assert_eq!(world.objects(), [""; 0]);
}
