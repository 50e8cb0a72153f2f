use std::path::Path;

use chrono::TimeZone;
use http_kit::identity::generate_key;
use tempfile::TempDir;

use super::*;

const TOKEN_LIFE: TimeDelta = TimeDelta::minutes(10);

fn clock() -> Clock {
    Clock::set_to(chrono::Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap())
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(SECRET)).unwrap();
    for (name, content) in files {
        write(dir.path(), name, content);
    }
    dir
}

fn write(dir: &Path, name: &str, content: &[u8]) {
    std::fs::write(dir.join(SECRET).join(name), content).unwrap();
}

fn load(files: &[(&str, &[u8])]) -> Result<Arc<SigningKeys>, SigningError> {
    SigningKeys::load(&Secrets::new(folder(files).path()), &clock(), TOKEN_LIFE)
}

/// The key that signs, and those that are believed.
fn state(keys: &SigningKeys) -> (String, Vec<String>) {
    let believed = keys.public().keys.into_iter().map(|jwk| jwk.kid).collect();
    (keys.current.load().kid.clone(), believed)
}

fn is(signs: &str, believed: &[&str]) -> (String, Vec<String>) {
    (signs.to_owned(), believed.iter().map(ToString::to_string).collect())
}

#[test]
fn the_last_key_signs_unless_another_is_named_and_all_are_published() {
    let (one, other) = (generate_key("k1").unwrap().0, generate_key("k2").unwrap().0);
    let keys = load(&[("k1.p8", &one), ("k2.p8", &other)]).unwrap();
    assert_eq!(state(&keys), is("k2", &["k1", "k2"]));
    let keys = load(&[("k1.p8", &one), ("k2.p8", &other), ("current", b"k1\n")]).unwrap();
    assert_eq!(state(&keys), is("k1", &["k1", "k2"]));
}

#[test]
fn without_a_good_key_there_is_a_clear_error() {
    let key = generate_key("k").unwrap().0;
    for (files, says) in [
        (&[] as &[(&str, &[u8])], "holds no key"),
        (&[("k.p8", b"x")], "not an Ed25519"),
        (&[("k.p8", &key), ("current", b"z")], "names \"z\""),
        (&[("auth-service.p8", &key)], "service's name"),
        (&[("j.p8", &key), ("k.p8", &key), ("j.replaced", b"yesterday")], "j.replaced is not a time"),
    ] {
        let error = load(files).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let error = SigningKeys::load(&Secrets::new(nowhere.path()), &clock(), TOKEN_LIFE).unwrap_err();
    assert!(error.to_string().contains("signing-keys"), "{error}");
}

#[test]
fn a_key_that_was_replaced_is_believed_until_all_that_it_signed_has_expired() {
    let (one, other) = (generate_key("k1").unwrap().0, generate_key("k2").unwrap().0);
    let dir = folder(&[("k1.p8", &one), ("current", b"k1")]);
    let clock = clock();
    let keys = SigningKeys::load(&Secrets::new(dir.path()), &clock, TOKEN_LIFE).unwrap();
    let told = std::cell::RefCell::new(Vec::new());
    let reload = || keys.reload(|public| told.borrow_mut().push(public.keys.len())).unwrap();

    write(dir.path(), "k2.p8", &other);
    reload();
    assert_eq!(state(&keys), is("k1", &["k1", "k2"]), "the next one is known before it is used");
    write(dir.path(), "k1.replaced", b"2026-01-31T12:00:00Z\n");
    reload();
    assert_eq!(state(&keys), is("k1", &["k1", "k2"]), "the one that signs is believed, whatever was noted");
    write(dir.path(), "current", b"k2");
    clock.advance(TOKEN_LIFE + GRACE - TimeDelta::seconds(1));
    reload();
    assert_eq!(state(&keys), is("k2", &["k1", "k2"]));
    clock.advance(TimeDelta::seconds(1));
    reload();
    reload();
    assert_eq!(state(&keys), is("k2", &["k2"]));
    assert_eq!(*told.borrow(), [2, 2, 1], "who believes them is told when there is something new");
}

#[test]
fn files_that_cannot_be_used_change_nothing() {
    let (one, other) = (generate_key("k1").unwrap().0, generate_key("k2").unwrap().0);
    let dir = folder(&[("k1.p8", &one), ("current", b"k1")]);
    let keys = SigningKeys::load(&Secrets::new(dir.path()), &clock(), TOKEN_LIFE).unwrap();
    let reload = || keys.reload(|_| panic!("nobody is told"));
    // As they are while somebody exchanges them.
    write(dir.path(), "current", b"k2");
    assert!(reload().unwrap_err().to_string().contains("names \"k2\""));
    write(dir.path(), "k2.p8", &other[..other.len() - 1]);
    assert!(reload().unwrap_err().to_string().contains("not an Ed25519"));
    assert_eq!(state(&keys), is("k1", &["k1"]));
    write(dir.path(), "k2.p8", &other);
    keys.reload(|_| ()).unwrap();
    assert_eq!(state(&keys), is("k2", &["k1", "k2"]));
}
