//! What cannot be is said in words that help, and has changed nothing.

use std::fs;

use backup_store::{Store, put};
use bytes::Bytes;
use contracts::ambient::Clock;
use testkit::S3Server;

use crate::world::{BUCKET, World, at};

const KEYS: &str = "east/clinic/keys/keys.dump";

async fn why(world: &World) -> String {
    world.take("20261124T020000Z", b"data", b"keys");
    let error = world.put(7).await.unwrap_err().to_string();
    assert!(!error.contains(S3Server::SECRET_ACCESS_KEY) && !error.contains("X-Amz"), "{error}");
    error
}

#[tokio::test]
async fn whoever_does_not_know_the_key_gets_nothing() {
    let world = World::new();
    fs::write(&world.place.secret_access_key, "guess").unwrap();
    let error = why(&world).await;
    assert!(error.contains("403 SignatureDoesNotMatch"), "{error}");
    fs::write(&world.place.access_key_id, "nobody").unwrap();
    let error = why(&world).await;
    assert!(error.contains("the object store refuses") && error.contains("No user exists"), "{error}");
    assert!(world.server.objects(BUCKET).is_empty());
    let error = world.get(None).await.unwrap_err().to_string();
    assert!(error.contains("the object store refuses") && error.contains("No user exists"), "{error}");
}

#[tokio::test]
async fn a_signature_is_good_for_a_while_and_not_for_ever() {
    let world = World::new();
    world.take("20261124T020000Z", b"data", b"keys");
    let store = world.store_at(at("2020-01-01T00:00:00Z"));
    let error = put(&store, &world.path("data"), &world.path("keys"), 7).await.unwrap_err().to_string();
    assert!(error.contains("403") && error.contains("expired"), "{error}");
}

#[tokio::test]
async fn an_empty_credential_is_said_before_anybody_is_asked() {
    let world = World::new();
    fs::write(&world.place.secret_access_key, " \n").unwrap();
    let error = Store::new(&world.place, Clock::system(), world.patience).unwrap_err().to_string();
    assert!(error.ends_with("is empty"), "{error}");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let mut world = World::new();
    world.place.bucket = "elsewhere".to_owned();
    let error = why(&world).await;
    assert!(error.contains("bucket elsewhere") && error.contains("404 NoSuchBucket"), "{error}");
    world.place.bucket = BUCKET.to_owned();
    world.place.keys_bucket = Some("nowhere".to_owned());
    let error = why(&world).await;
    assert!(error.contains("nowhere") && error.contains("NoSuchBucket"), "{error}");
    assert!(world.server.objects(BUCKET).is_empty(), "no data whose keys have no place");
}

#[tokio::test]
async fn a_backup_that_is_not_there_is_named_and_so_is_what_is_missing_of_one() {
    let world = World::new();
    let error = world.get(None).await.unwrap_err().to_string();
    assert_eq!(error, "there is no backup at all: east/clinic in bucket backups");
    world.take("20261124T020000Z", b"data", b"keys");
    world.put(7).await.unwrap();
    let error = world.get(Some("20261123T020000Z")).await.unwrap_err().to_string();
    assert!(error.starts_with("there is no backup 20261123T020000Z"), "{error}");

    // Broken off before its last step: it is none.
    let path = |name: &str| world.server.path(BUCKET, name);
    fs::create_dir(path("east/clinic/20261125T020000Z")).unwrap();
    fs::write(path("east/clinic/20261125T020000Z/data.dump"), "half").unwrap();
    assert_eq!(world.get(None).await.unwrap().name.as_str(), "20261124T020000Z");

    fs::remove_file(path(KEYS)).unwrap();
    world.forget();
    let error = world.get(None).await.unwrap_err().to_string();
    assert!(error.starts_with("there are no keys beside this backup"), "{error}");
    assert_eq!(world.files("keys"), [""; 0]);
}

#[tokio::test]
async fn what_was_damaged_there_is_not_restored() {
    let world = World::new();
    world.take("20261124T020000Z", b"data of patients", b"keys");
    world.put(7).await.unwrap();
    for (object, says) in [
        (
            "east/clinic/20261124T020000Z/data.dump",
            "backup 20261124T020000Z is damaged: its digest does not match",
        ),
        (
            "east/clinic/20261124T020000Z/SHA256SUMS",
            "backup 20261124T020000Z is damaged: SHA256SUMS holds no digest",
        ),
        (KEYS, "the keys are damaged: their digest does not match"),
    ] {
        world.forget();
        let path = world.server.path(BUCKET, object);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[0] ^= 0x80;
        overwrite(&path, &damaged);
        assert_eq!(world.get(None).await.unwrap_err().to_string(), says);
        let files = [world.files("data"), world.files("keys")].concat();
        assert!(files.iter().all(|file| !file.contains("keys-") && !file.starts_with('.')), "{files:?}");
        overwrite(&path, &whole);
    }
    world.get(None).await.unwrap();
}

/// In place, so that what the server knows of the object stays.
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    use std::io::Write;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn what_was_damaged_here_does_not_get_there() {
    let world = World::new();
    world.take("20261124T020000Z", b"data", b"keys");
    fs::write(world.path("data/20261124T020000Z/data.dump"), b"Data").unwrap();
    let error = world.put(7).await.unwrap_err().to_string();
    assert!(error.ends_with("data.dump is damaged: its digest does not match"), "{error}");
    assert!(world.server.objects(BUCKET).is_empty());
}

#[tokio::test]
async fn keys_are_not_put_where_old_versions_stay() {
    let world = World::new();
    enable_versions(&world).await;
    let error = why(&world).await;
    assert!(error.contains("keeps old versions") && error.contains("keysBucket"), "{error}");
    assert!(world.server.objects(BUCKET).is_empty());

    let mut apart = world;
    apart.place.keys_bucket = Some("keys".to_owned());
    for name in ["20261124T020000Z", "20261125T020000Z"] {
        apart.take(name, b"data", b"keys");
        apart.put(1).await.unwrap();
    }
    apart.forget();
    apart.get(None).await.unwrap();
}

/// As an administrator of the bucket does it.
async fn enable_versions(world: &World) {
    let url: reqwest::Url = world.server.endpoint().parse().unwrap();
    let style = rusty_s3::UrlStyle::Path;
    let bucket = rusty_s3::Bucket::new(url, style, BUCKET, S3Server::REGION).unwrap();
    let now = jiff::Timestamp::from_second(Clock::system().now().timestamp()).unwrap();
    let url = rusty_s3::signing::sign(
        &now,
        rusty_s3::Method::Put,
        bucket.base_url().clone(),
        S3Server::ACCESS_KEY_ID,
        S3Server::SECRET_ACCESS_KEY,
        None,
        S3Server::REGION,
        60,
        [("versioning", "")].into_iter(),
        [].into_iter(),
    );
    let body = r#"<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>"#;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.put(url).body(Bytes::from_static(body.as_bytes())).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn older_keys_are_not_put_in_the_place_of_newer_ones() {
    let world = World::new();
    world.take("20261125T020000Z", b"data", b"newer");
    world.put(7).await.unwrap();
    world.forget();
    world.take("20261124T020000Z", b"older data", b"older");
    world.put(7).await.unwrap();
    assert_eq!(fs::read(world.server.path(BUCKET, KEYS)).unwrap(), b"newer");
    world.forget();
    assert_eq!(world.get(None).await.unwrap().name.as_str(), "20261125T020000Z");
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let world = World::new();
    world.take("20261124T020000Z", b"data", b"keys");
    world.put(7).await.unwrap();
    world.forget();
    std::os::unix::fs::symlink("/dev/full", world.path("data").join(".partial")).unwrap();
    let error = world.get(None).await.unwrap_err().to_string();
    assert!(error.contains("No space left on device"), "{error}");
    assert_eq!(world.files("data"), [""; 0]);
    world.get(None).await.unwrap();
    assert!(world.is_as_restore_sh_wants_it("20261124T020000Z"));
}
