//! Secrets are read from their folder and nowhere else, and are never shown.

use db::{SecretError, Secrets};
use settings::SecretRef;

fn secret(name: &str, key: &str) -> SecretRef {
    SecretRef { secret: name.to_owned(), key: key.to_owned() }
}

#[test]
fn a_secret_is_its_files_bytes_and_its_text_ends_before_the_line_end() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("mail")).unwrap();
    std::fs::write(dir.path().join("mail/password"), "hunter2\r\n").unwrap();
    let secrets = Secrets::new(dir.path());
    assert_eq!(*secrets.read(&secret("mail", "password")).unwrap(), b"hunter2\r\n");
    assert_eq!(*secrets.read_text(&secret("mail", "password")).unwrap(), "hunter2");
    assert!(!format!("{secrets:?}").contains("hunter2"));
}

#[test]
fn a_name_that_leaves_the_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("outside"), "x").unwrap();
    let secrets = Secrets::new(dir.path().join("secrets"));
    for (name, key) in
        [("..", "outside"), (".", "x"), ("a", "../../outside"), ("/etc", "passwd"), ("", "x"), ("a", "")]
    {
        let result = secrets.read(&secret(name, key));
        assert!(matches!(result, Err(SecretError::BadName { .. })), "{name}/{key}: {result:?}");
    }
    assert!(matches!(secrets.read(&secret("kek", "current")), Err(SecretError::Unreadable { .. })));
}

#[test]
fn a_secrets_keys_are_listed_in_order() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("keys")).unwrap();
    for name in ["b.p8", "a.p8", "..data", "not a name"] {
        std::fs::write(dir.path().join("keys").join(name), "x").unwrap();
    }
    let secrets = Secrets::new(dir.path());
    assert_eq!(secrets.list("keys").unwrap(), ["a.p8", "b.p8"]);
    assert!(matches!(secrets.list(".."), Err(SecretError::BadName { .. })));
    assert!(matches!(secrets.list("none"), Err(SecretError::Unreadable { .. })));
}
