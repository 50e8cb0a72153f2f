use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use chrono::TimeDelta;
use contracts::ambient::Clock;
use tempfile::TempDir;
use tls::{Credentials, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// The machine's own time, by which certificates are checked.
fn now() -> DateTime<Utc> {
    Clock::system().now()
}

fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    Certificates::new(dir.path(), now()).keep().unwrap();
    dir
}

/// All parts, each with its own files as a container has them.
fn parts(out: &Path) -> BTreeMap<&'static str, Arc<Credentials>> {
    let names = ServiceName::ALL.map(ServiceName::as_str).into_iter().chain([GATEWAY_NAME]);
    let read = |name| Credentials::read(&out.join("secrets").join(names::tls(name))).unwrap();
    names.map(|name| (name, read(name))).collect()
}

/// Whether a byte goes from one to the other and back.
async fn meet(client: &Credentials, server: &Credentials, host: &'static str) -> Result<()> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let serve = async {
        let mut stream = tls::accept(server.server(), far).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.shutdown().await
    };
    let call = async {
        let mut stream = client.connect(ServerName::try_from(host).unwrap(), near).await?;
        stream.write_u8(7).await?;
        stream.read_u8().await.map(drop)
    };
    let (served, called) = tokio::join!(serve, call);
    served.and(called)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn all_meet(parts: &BTreeMap<&'static str, Arc<Credentials>>) {
    for (caller, client) in parts {
        for (called, server) in parts {
            let met = meet(client, server, called).await;
            assert!(met.is_ok(), "{caller} calls {called}: {met:?}");
        }
    }
}

#[test]
fn each_part_is_known_to_all_by_its_name_and_a_stranger_to_none() {
    let (ours, others) = (folder(), folder());
    let (parts, strangers) = (parts(ours.path()), self::parts(others.path()));
    run(async {
        all_meet(&parts).await;
        let patient = &parts["patient-service"];
        assert!(meet(&strangers["api-gateway"], patient, "patient-service").await.is_err());
        assert!(meet(&parts["api-gateway"], patient, "billing-service").await.is_err(), "not its name");
        let client = Credentials::read(&ours.path().join("client-tls")).unwrap();
        let records = &parts["medical-records-service"];
        meet(&client, records, "localhost").await.unwrap();
        assert!(meet(&parts["api-gateway"], &client, "localhost").await.is_err(), "it is not to be called");
    });
}

/// Some containers are always a little later than others to read what was written.
#[test]
fn another_ca_takes_over_and_no_two_parts_are_ever_strangers() {
    let dir = folder();
    let parts = parts(dir.path());
    let steps = Cell::new(0);
    let read_by_one_after_the_other = || {
        steps.set(steps.get() + 1);
        run(async {
            for (name, part) in &parts {
                part.reload().unwrap();
                for (other, peer) in &parts {
                    let met = (meet(part, peer, other).await, meet(peer, part, name).await);
                    assert!(matches!(met, (Ok(()), Ok(()))), "{name} and {other}: {met:?}");
                }
            }
        });
    };
    let before = files(dir.path());
    Certificates::new(dir.path(), now()).renew(read_by_one_after_the_other).unwrap();
    read_by_one_after_the_other();
    assert_eq!(steps.get(), 3);
    let after = files(dir.path());
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "nothing is left of it");
    for (name, content) in &after {
        assert_ne!(*content, before[name], "{name}");
    }
    let old = folder();
    for (name, (_, content)) in &before {
        std::fs::write(old.path().join(name), content).unwrap();
    }
    let old = self::parts(old.path());
    run(async {
        assert!(meet(&old["api-gateway"], &parts["patient-service"], "patient-service").await.is_err());
    });
}

#[test]
fn a_renewal_that_was_broken_off_is_finished_by_the_next() {
    struct BrokenOff;
    for stops_at in 1..=2 {
        let dir = folder();
        let parts = parts(dir.path());
        let (first, waited) = (files(dir.path()), Cell::new(0));
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Certificates::new(dir.path(), now()).renew(|| {
                waited.set(waited.get() + 1);
                if waited.get() == stops_at {
                    std::panic::resume_unwind(Box::new(BrokenOff));
                }
            })
        }));
        assert!(broken.is_err());
        let read = || parts.values().for_each(|part| part.reload().unwrap());
        // In between, the settings are written anew.
        Certificates::new(dir.path(), now()).keep().unwrap();
        read();
        run(all_meet(&parts));
        Certificates::new(dir.path(), now())
            .renew(|| {
                read();
                run(all_meet(&parts));
            })
            .unwrap();
        read();
        run(all_meet(&parts));
        let last = files(dir.path());
        assert_eq!(last.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
        assert_ne!(last["internal-ca/signer.pem"], first["internal-ca/signer.pem"]);
    }
}

#[test]
fn a_certificate_is_made_anew_in_time_by_the_same_ca_and_what_is_fresh_stays() {
    let dir = tempfile::tempdir().unwrap();
    let keep = |days_ago| Certificates::new(dir.path(), now() - TimeDelta::days(days_ago)).keep().unwrap();
    keep(130);
    let before = files(dir.path());
    keep(15);
    assert_eq!(files(dir.path()), before);
    // As it is after a restore from a copy of which a file is missing.
    let patients = "secrets/patient-service-tls/tls.crt";
    std::fs::remove_file(dir.path().join(patients)).unwrap();
    keep(15);
    assert_ne!(files(dir.path())[patients], before[patients]);

    keep(0);
    let after = files(dir.path());
    for (name, content) in &after {
        let is_of_the_ca = name.ends_with("ca.crt") || name.starts_with("internal-ca/signer.");
        assert_eq!(*content == before[name], is_of_the_ca, "{name}");
    }
    run(all_meet(&parts(dir.path())));
}

#[test]
fn a_ca_is_to_be_replaced_while_it_outlives_what_it_vouches_for() {
    let dir = folder();
    let in_years = |years: u32| Certificates::new(dir.path(), now() + Months::new(12 * years));
    assert_eq!([0, 7, 8].map(|years| in_years(years).is_ca_old().unwrap()), [false, false, true]);
    in_years(8).keep().unwrap();
    assert!(in_years(8).is_ca_old().unwrap(), "it is not replaced by itself");
    in_years(8).renew(|| ()).unwrap();
    assert_eq!([8, 15, 16].map(|years| in_years(years).is_ca_old().unwrap()), [false, false, true]);
}

#[test]
fn the_ca_and_the_key_of_who_calls_from_here_are_this_users_alone() {
    for (name, (mode, _)) in files(folder().path()) {
        assert_eq!(mode, if name.starts_with("secrets/") { 0o644 } else { 0o600 }, "{name}");
    }
}

/// Name → mode and content, of all of them.
fn files(out: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![out.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                let name = path.strip_prefix(out).unwrap().to_str().unwrap().to_owned();
                found.insert(name, (mode, std::fs::read(path).unwrap()));
            }
        }
    }
    found
}
