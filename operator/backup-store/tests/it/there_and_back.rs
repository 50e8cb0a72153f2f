//! What is put there comes back as it was, and what is more than is kept goes.

use std::fs;

use testkit::S3Server;

use crate::world::{BUCKET, PART_BYTES, World, bytes};

#[tokio::test]
async fn a_backup_comes_back_as_it_was() {
    let world = World::new();
    world.take("20261124T020000Z", b"first", b"keys of the first");
    world.put(7).await.unwrap();
    // Two whole parts and a piece; exactly one part; nothing at all.
    for (name, len) in
        [("20261125T020000Z", 2 * PART_BYTES + 7), ("20261126T020000Z", PART_BYTES), ("20261127T020000Z", 0)]
    {
        world.take(name, &bytes(len), b"keys");
        let put = world.put(7).await.unwrap();
        assert_eq!((put.name.as_str(), put.bytes, put.warnings), (name, len as u64, Vec::<String>::new()));
        world.forget();
        assert_eq!(world.get(None).await.unwrap().name.as_str(), name, "the latest");
        assert!(world.is_as_restore_sh_wants_it(name));
        assert_eq!(fs::read(world.path("data").join(name).join("data.dump")).unwrap(), bytes(len));
    }
    world.forget();
    world.get(Some("20261124T020000Z")).await.unwrap();
    assert_eq!(fs::read(world.path("data/20261124T020000Z/data.dump")).unwrap(), b"first");
    assert!(world.is_as_restore_sh_wants_it("20261124T020000Z"), "with the latest keys");
    assert_eq!(fs::read(world.path("keys").join(&world.files("keys")[0])).unwrap(), b"keys");
}

#[tokio::test]
async fn as_many_are_kept_as_was_said_and_of_the_keys_the_latest_alone() {
    let world = World::new();
    for (name, keys) in [("20261124T020000Z", "a"), ("20261125T020000Z", "b"), ("20261126T020000Z", "c")] {
        world.take(name, name.as_bytes(), keys.as_bytes());
        let put = world.put(2).await.unwrap();
        let pruned: Vec<_> = put.pruned.iter().map(backup_store::BackupName::as_str).collect();
        assert_eq!(pruned, if keys == "c" { vec!["20261124T020000Z"] } else { vec![] });
    }
    assert_eq!(
        world.objects(),
        [
            "20261125T020000Z/SHA256SUMS",
            "20261125T020000Z/data.dump",
            "20261126T020000Z/SHA256SUMS",
            "20261126T020000Z/data.dump",
            "keys/keys.dump",
        ]
    );
    assert_eq!(fs::read(world.server.path(BUCKET, "east/clinic/keys/keys.dump")).unwrap(), b"c");
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let world = World::new();
    let foreign =
        ["east/clinic/README", "east/clinic-2/20261101T020000Z/data.dump", "east/clinic/2026/data.dump"];
    for object in foreign {
        let path = world.server.path(BUCKET, object);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "somebody else's").unwrap();
    }
    for name in ["20261124T020000Z", "20261125T020000Z"] {
        world.take(name, b"data", b"keys");
        world.put(1).await.unwrap();
    }
    let left = world.server.objects(BUCKET);
    assert!(foreign.iter().all(|object| left.contains(&(*object).to_owned())), "{left:?}");
    assert_eq!(left.len(), foreign.len() + 3, "{left:?}");
}

#[tokio::test]
async fn keys_go_to_a_bucket_of_their_own_if_there_is_one() {
    let mut world = World::new();
    world.place.keys_bucket = Some("keys".to_owned());
    world.take("20261124T020000Z", b"data", b"keys");
    world.put(7).await.unwrap();
    assert_eq!(world.server.objects("keys"), ["east/clinic/keys/keys.dump"]);
    assert!(!world.objects().iter().any(|object| object.contains("keys")));
    world.forget();
    world.get(None).await.unwrap();
    assert!(world.is_as_restore_sh_wants_it("20261124T020000Z"));
}

#[tokio::test]
async fn over_tls_only_whom_the_given_ca_vouches_for_is_believed() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let server = S3Server::start_with_tls(&[BUCKET], &made.cert.pem(), &made.signing_key.serialize_pem());
    let mut world = World::with(server);
    world.patience.tries = 1;
    world.take("20261124T020000Z", b"data", b"keys");
    // Nobody given: those whom the machine believes.
    let error = world.put(7).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    fs::write(world.path("ca.pem"), other.cert.pem()).unwrap();
    world.place.ca = Some(world.path("ca.pem"));
    let error = world.put(7).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    fs::write(world.path("ca.pem"), made.cert.pem()).unwrap();
    world.put(7).await.unwrap();
}
