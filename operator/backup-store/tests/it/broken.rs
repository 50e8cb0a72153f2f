//! Lines that break, a store that dies, answers that are lost: what was there before stays, and half a backup is none.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backup_store::{Patience, put};

use crate::world::{BUCKET, PART_BYTES, World, bytes};

/// A line to the store that breaks.
struct BadLine {
    broken: Arc<AtomicUsize>,
}

/// When it breaks.
#[derive(Clone, Copy)]
enum Breaks {
    /// After so many bytes to the store; so many times.
    There { bytes: usize, times: usize },
    /// After so many bytes from the store, each time.
    Back { bytes: usize },
    /// After so many bytes to the store, over all connections together, and it stays so.
    ForGood { bytes: usize },
}

/// What is left of a connection's bytes, or of all connections' together.
type Left = Arc<AtomicUsize>;

impl BadLine {
    fn to(world: &mut World, breaks: Breaks) -> Self {
        let target = world.server.endpoint().trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        world.place.endpoint = format!("http://{}", listener.local_addr().unwrap());
        let broken = Arc::new(AtomicUsize::new(0));
        let (count, together) = (Arc::clone(&broken), Left::default());
        if let Breaks::ForGood { bytes } = breaks {
            together.store(bytes, Ordering::SeqCst);
        }
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(far) = TcpStream::connect(&target) else { continue };
                let near = near.unwrap();
                let all = || Left::new(usize::MAX.into());
                let (there, back) = match breaks {
                    Breaks::There { bytes, times } if count.load(Ordering::SeqCst) < times => {
                        (Left::new(bytes.into()), all())
                    }
                    Breaks::There { .. } => (all(), all()),
                    Breaks::Back { bytes } => (all(), Left::new(bytes.into())),
                    Breaks::ForGood { .. } => (Arc::clone(&together), all()),
                };
                carry(&near, &far, there, &count);
                carry(&far, &near, back, &count);
            }
        });
        Self { broken }
    }

    fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

fn carry(from: &TcpStream, to: &TcpStream, left: Left, broken: &Arc<AtomicUsize>) {
    let (mut from, mut to, broken) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(broken));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let take = |left: usize| left.checked_sub(read);
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
                left.store(0, Ordering::SeqCst);
                broken.fetch_add(1, Ordering::SeqCst);
                let _ = from.shutdown(std::net::Shutdown::Both);
                break;
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

#[tokio::test]
async fn an_upload_goes_on_after_the_line_has_broken() {
    let mut world = World::new();
    let line = BadLine::to(&mut world, Breaks::There { bytes: PART_BYTES / 2, times: 2 });
    world.take("20261124T020000Z", &bytes(3 * PART_BYTES), b"keys");
    world.put(7).await.unwrap();
    assert_eq!(line.broken(), 2);
    world.forget();
    world.get(None).await.unwrap();
    assert!(world.is_as_restore_sh_wants_it("20261124T020000Z"));
}

#[tokio::test]
async fn a_download_goes_on_from_where_the_line_has_broken() {
    let mut world = World::new();
    world.take("20261124T020000Z", &bytes(3 * PART_BYTES), b"keys");
    world.put(7).await.unwrap();
    world.forget();
    // From the start each time, it would never come to the end.
    let line = BadLine::to(&mut world, Breaks::Back { bytes: PART_BYTES });
    world.get(None).await.unwrap();
    assert!(line.broken() >= 2, "{}", line.broken());
    assert!(world.is_as_restore_sh_wants_it("20261124T020000Z"));
}

#[tokio::test]
async fn a_store_that_dies_in_the_middle_has_no_half_backup() {
    let mut world = World::new();
    world.take("20261124T020000Z", b"before", b"keys");
    world.put(1).await.unwrap();

    world.take("20261125T020000Z", &bytes(4 * PART_BYTES), b"newer keys");
    // Enough for what comes before, and for a part and a half.
    let _line = BadLine::to(&mut world, Breaks::ForGood { bytes: PART_BYTES + PART_BYTES / 2 });
    let error = world.put(1).await.unwrap_err().to_string();
    assert!(error.contains("writing part 2 of") && error.contains("does not answer"), "{error}");
    world.server.kill();
    let error = world.put(1).await.unwrap_err().to_string();
    assert!(error.contains("does not answer"), "{error}");
    world.server.run();
    world.place.endpoint = world.server.endpoint();
    assert_eq!(
        world.objects(),
        ["20261124T020000Z/SHA256SUMS", "20261124T020000Z/data.dump", "keys/keys.dump"]
    );
    world.forget();
    assert_eq!(world.get(None).await.unwrap().name.as_str(), "20261124T020000Z");

    // And the next one gets there.
    world.take("20261126T020000Z", &bytes(4 * PART_BYTES), b"newest keys");
    world.put(1).await.unwrap();
    world.forget();
    assert_eq!(world.get(None).await.unwrap().name.as_str(), "20261126T020000Z");
}

#[tokio::test]
async fn a_store_that_is_restarted_is_waited_for() {
    let mut world = World::new();
    world.take("20261124T020000Z", &bytes(2 * PART_BYTES), b"keys");
    world.patience =
        Patience { first: Duration::from_millis(50), longest: Duration::from_millis(200), tries: 100 };
    world.server.kill();
    let store = world.store();
    let (data, keys) = (world.path("data"), world.path("keys"));
    let putting = tokio::spawn(async move { put(&store, &data, &keys, 7).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!putting.is_finished());
    world.server.run();
    putting.await.unwrap().unwrap();
    assert_eq!(world.objects().len(), 3);
}

/// Killed at any moment of an upload, what was there before can be restored, and afterwards too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_it_ends_there_is_a_backup_that_restores() {
    let world = World::new();
    world.take("20261101T020000Z", b"before", b"old keys");
    world.put(2).await.unwrap();
    let mut whole = 0;
    for round in 2..22 {
        let name = format!("202611{round:02}T020000Z");
        world.take(&name, &bytes(PART_BYTES + 1), name.as_bytes());
        let (store, data, keys) = (world.store(), world.path("data"), world.path("keys"));
        let putting = tokio::spawn(async move { put(&store, &data, &keys, 2).await });
        tokio::time::sleep(Duration::from_millis(round * 12)).await;
        putting.abort();
        let ended = putting.await;
        world.forget();
        let got = world.get(None).await.unwrap();
        assert!(world.is_as_restore_sh_wants_it(got.name.as_str()), "{got:?}");
        if ended.is_ok() {
            assert_eq!(got.name.as_str(), name);
            whole += 1;
        }
        // Keys are of this backup or of a later one.
        let keys = std::fs::read_to_string(world.path("keys").join(&world.files("keys")[0])).unwrap();
        assert!(
            keys == "old keys" && got.name.as_str() == "20261101T020000Z"
                || keys.as_str() >= got.name.as_str(),
            "{keys}"
        );
    }
    assert!(whole > 0, "none came to its end");
}

#[tokio::test]
async fn what_was_broken_off_goes_after_a_day() {
    let mut world = World::new();
    // Data without its digest, and an upload that nobody ends.
    world.take("20261124T020000Z", &bytes(4 * PART_BYTES), b"keys");
    let line = BadLine::to(&mut world, Breaks::ForGood { bytes: 3 * PART_BYTES });
    world.put(7).await.unwrap_err();
    assert!(line.broken() > 0);
    world.place.endpoint = world.server.endpoint();
    let left = world.server.path(BUCKET, "east/clinic/20261020T020000Z");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("data.dump"), "half").unwrap();
    assert_eq!(unfinished(&world).len(), 1);

    world.take("20261125T020000Z", b"data", b"keys");
    world.put(7).await.unwrap();
    assert_eq!(unfinished(&world).len(), 1, "it might be under way");
    assert!(!left.join("data.dump").exists());

    for upload in unfinished(&world) {
        let touched = Command::new("touch").args(["--date", "2 days ago"]).arg(upload).status();
        assert!(touched.unwrap().success());
    }
    world.take("20261126T020000Z", b"data", b"keys");
    let put = world.put(7).await.unwrap();
    assert_eq!((unfinished(&world).len(), put.warnings), (0, vec![]));
}

/// Uploads that the server knows of, each a folder.
fn unfinished(world: &World) -> Vec<std::path::PathBuf> {
    let folders = |path: std::path::PathBuf| {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let objects = folders(world.server.path(BUCKET, ".sgwtmp/multipart"));
    objects.into_iter().flat_map(folders).collect()
}
