//! The managed database from its first start to a restored backup, with a real PostgreSQL.

use std::fs;
use std::path::Path;

use settings::ServiceName;
use testkit::S3Server;

use crate::server::{Server, list};

fn url(server: &Server, service: ServiceName) -> String {
    server.secret(&stack::names::database(service), "url")
}

#[test]
fn a_database_is_made_once_and_comes_back_with_its_data() {
    let server = Server::start();
    server.job("database-setup").unwrap();
    let patient = url(&server, ServiceName::PatientService);
    server.sql(&patient, "create table patient.a (id int); insert into patient.a values (1)").unwrap();
    let owner = "select tableowner from pg_tables where tablename = 'a'";
    assert_eq!(server.sql(&patient, owner).unwrap(), "patient");
    assert_eq!(server.sql(&patient, "select current_setting('data_checksums')").unwrap(), "on");

    server.stop();
    assert!(server.log().contains("database system is shut down"), "{}", server.log());
    // A killed container leaves its lock behind, with a process id that is somebody else's by now.
    fs::write(server.path("data/pgdata/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    server.run();
    server.job("database-setup").unwrap();
    assert_eq!(server.sql(&patient, "select id from patient.a").unwrap(), "1");
    assert!(!server.log().contains("initdb"), "{}", server.log());
}

#[test]
fn nobody_gets_further_than_his_role_and_nobody_without_tls() {
    let server = Server::start();
    server.job("database-setup").unwrap();
    let patient = url(&server, ServiceName::PatientService);
    let billing = url(&server, ServiceName::BillingService);
    server.sql(&billing, "create table billing_keys.a (id int)").unwrap();

    let refused = |url: &str, sql: &str, why: &str| {
        let error = server.sql(url, sql).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    refused(&patient.replace("verify-full", "disable"), "select 1", "no encryption");
    let password = server.secret("database-patient", "password");
    refused(&patient.replace(&password, "guess"), "select 1", "password authentication failed");
    refused(&patient.replace("patient_a", "patient"), "select 1", "password authentication failed");
    refused(&patient.replace("/healthcare?", "/postgres?"), "select 1", "permission denied for database");
    refused(&patient, "select * from billing_keys.a", "permission denied for schema billing_keys");
    refused(&patient, "create table public.a (id int)", "permission denied for schema public");
    refused(&patient, "create temporary table a (id int)", "permission denied to create temporary tables");
    refused(&patient, "create role a", "permission denied to create role");
    refused(&patient, "set role billing", "permission denied to set role");
    refused(&patient.replace("clinic-postgres", "localhost"), "select 1", "does not match host name");

    let reader = patient
        .replace("patient_a", "reader_a")
        .replace(&password, &server.secret("database-reader", "password"));
    assert_eq!(server.sql(&reader, "select count(*) from billing_keys.a").unwrap(), "0");
    refused(&reader, "insert into billing_keys.a values (1)", "permission denied for table a");

    let log = server.log();
    for part in ["postgres", "database-patient", "database-reader"] {
        assert!(!log.contains(&server.secret(part, "password")), "{part}");
    }
}

#[test]
fn passwords_and_certificates_change_under_a_running_server() {
    let mut server = Server::start();
    server.job("database-setup").unwrap();
    let old = url(&server, ServiceName::PatientService);
    let who = |server: &Server, url: &str| server.sql(url, "select session_user");

    server.rotate("database-roles");
    server.job("database-setup").unwrap();
    server.make_secrets();
    let new = url(&server, ServiceName::PatientService);
    assert_eq!(who(&server, &old).unwrap(), "patient_a");
    assert_eq!(who(&server, &new).unwrap(), "patient_b");
    server.make_secrets();
    server.make_secrets();
    server.job("database-setup").unwrap();
    assert!(who(&server, &old).is_err(), "the old login is shut");
    assert_eq!(who(&server, &new).unwrap(), "patient_b");

    let certificate = server.secret("database-tls", "tls.crt");
    server.rotate("database-tls");
    server.make_secrets();
    assert_ne!(server.secret("database-tls", "tls.crt"), certificate);
    // Whoever believes only the next CA is served as soon as the server has read what that one signed.
    let signer = server.path("next-ca.crt");
    fs::write(&signer, server.secret("database-tls", "signer.crt")).unwrap();
    let strict = new.replace(
        &server.path("secrets/database-tls/ca.crt").display().to_string(),
        &signer.display().to_string(),
    );
    let served = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        who(&server, &strict).is_ok()
    });
    assert!(served, "{:?}", who(&server, &strict));
    assert!(who(&server, &new).is_ok());

    let superuser = server.secret("postgres", "password");
    server.lose("postgres");
    server.make_secrets();
    assert_ne!(server.secret("postgres", "password"), superuser);
    server.stop();
    server.run();
    server.job("database-setup").unwrap();
}

#[test]
fn a_backup_fills_a_new_stack_and_only_a_new_one() {
    let server = Server::start();
    server.job("database-setup").unwrap();
    migrate(&server);
    let patient = url(&server, ServiceName::PatientService);
    server.sql(&patient, &key("ada", &server.kek_id())).unwrap();
    server.sql(&patient, &key("bob", &server.kek_id())).unwrap();
    server.backup().unwrap();
    // What is erased after a backup stays erased when that backup is restored: there is one state of the keys, the latest.
    server.sql(&patient, "update patient_keys.data_key set wrapped = null, kek_id = null, destroyed_at = now() where subject = 'bob'").unwrap();
    server.backup().unwrap();
    assert_eq!(dumps(&server), 1, "{:?}", list(&server.path("backup/keys")));

    let restored = Server::start_restored(&server);
    restored.job("database-setup").unwrap();
    assert!(restored.job("restore").unwrap_err().contains("there is no backup"), "an empty volume");
    restored.take_backups_of(&server);
    damage(&restored);

    restored.job("restore").unwrap();
    let schemas: Vec<_> =
        ServiceName::ALL.iter().flat_map(|service| operator::secrets::schemas(*service)).collect();
    let schemas: Vec<_> = schemas.iter().map(String::as_str).collect();
    let (before, after) = (server.dump(&schemas), restored.dump(&schemas));
    assert!(before.contains("bob") && before.contains("EXCLUDE USING gist"));
    assert_same(&before, &after);
    assert!(restored.job("restore").unwrap().starts_with("already restored from"));
    let patient = url(&restored, ServiceName::PatientService);
    assert_eq!(
        restored
            .sql(&patient, "select subject from patient_keys.data_key where wrapped is not null")
            .unwrap(),
        "ada"
    );
    restored.backup().expect("who takes backups can read what was restored");

    // A stack that has something of its own is left alone.
    let occupied = Server::start_restored(&server);
    occupied.job("database-setup").unwrap();
    occupied.sql(&url(&occupied, ServiceName::BillingService), "create table billing.a (id int)").unwrap();
    occupied.take_backups_of(&server);
    assert!(occupied.job("restore").unwrap_err().contains("schema billing is not empty"));

    server.backup().unwrap();
    assert_eq!(list(&server.path("backup/data")).len(), 2, "two are kept");
}

/// What is erased after the last backup stays erased when that backup is restored, if the keys were taken since.
#[test]
fn keys_that_are_taken_between_backups_leave_out_who_was_erased() {
    let store = S3Server::start(&["backups"]);
    for (server, restored) in
        [(Server::start(), None), (Server::start_with_bucket(&store, None), Some(&store))]
    {
        server.job("database-setup").unwrap();
        migrate(&server);
        let patient = url(&server, ServiceName::PatientService);
        for subject in ["ada", "bob"] {
            server.sql(&patient, &key(subject, &server.kek_id())).unwrap();
        }
        server.backup().unwrap();
        server.sql(&patient, "update patient_keys.data_key set wrapped = null, kek_id = null, destroyed_at = now() where subject = 'bob'").unwrap();
        let said = server.take_keys().unwrap();
        assert!(said.contains("keys"), "{said}");
        let restored = match restored {
            None => {
                // Taken at once, one waits for the other.
                std::thread::scope(|scope| {
                    let keys = scope.spawn(|| server.take_keys());
                    let all = scope.spawn(|| server.backup());
                    assert!(keys.join().unwrap().is_ok() && all.join().unwrap().is_ok());
                });
                assert_eq!(dumps(&server), 1);
                let restored = Server::start_restored(&server);
                restored.job("database-setup").unwrap();
                restored.take_backups_of(&server);
                restored
            }
            Some(store) => {
                let restored = Server::start_with_bucket(store, Some(&server));
                restored.job("database-setup").unwrap();
                restored
            }
        };
        restored.job("restore").unwrap();
        let keys = "select subject from patient_keys.data_key where wrapped is not null";
        assert_eq!(restored.sql(&url(&restored, ServiceName::PatientService), keys).unwrap(), "ada");
    }
}

/// How many states of the keys lie on the volume.
fn dumps(server: &Server) -> usize {
    let is_dump = |path: &&std::path::PathBuf| path.extension().is_some_and(|extension| extension == "dump");
    list(&server.path("backup/keys")).iter().filter(is_dump).count()
}

#[test]
fn backups_that_are_asked_for_at_once_are_taken_one_after_another() {
    let server = Server::start();
    server.job("database-setup").unwrap();
    migrate(&server);
    let patient = url(&server, ServiceName::PatientService);
    server.sql(&patient, &key("ada", &server.kek_id())).unwrap();
    let said: Vec<String> = std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| server.backup().unwrap()));
        both.map(|one| one.join().unwrap()).into()
    });
    assert_ne!(said[0], said[1], "each has a name of its own");
    assert_eq!(list(&server.path("backup/data")).len(), 2);
    let restored = Server::start_restored(&server);
    restored.job("database-setup").unwrap();
    restored.take_backups_of(&server);
    restored.job("restore").unwrap();
}

#[test]
fn a_backup_waits_for_a_database_that_cannot_be_reached_yet() {
    let server = Server::start();
    server.job("database-setup").unwrap();
    migrate(&server);
    server.stop();
    let said = std::thread::scope(|scope| {
        let backup = scope.spawn(|| server.backup());
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert!(!backup.is_finished());
        server.run();
        backup.join().unwrap()
    });
    assert!(said.unwrap().contains("bytes of data"));
}

#[test]
fn a_backup_of_another_key_encryption_key_changes_nothing_and_says_which_it_needs() {
    let server = Server::start();
    server.job("database-setup").unwrap();
    migrate(&server);
    let patient = url(&server, ServiceName::PatientService);
    server.sql(&patient, &key("ada", &server.kek_id())).unwrap();
    server.sql(&patient, &key("bob", "00c0ffee00c0ffee")).unwrap();
    server.backup().unwrap();
    let restored = Server::start_restored(&server);
    restored.job("database-setup").unwrap();
    restored.take_backups_of(&server);
    let said = restored.job("restore").unwrap_err();
    let why = format!(
        "(schema patient_keys) are wrapped under the key-encryption key 00c0ffee00c0ffee, but the Secret that keySecretRef names holds: {}",
        server.kek_id()
    );
    assert!(said.contains(&why), "{said}");
    let tables = "select count(*) from pg_tables where schemaname like '%keys' or schemaname = 'patient'";
    assert_eq!(restored.sql(&url(&restored, ServiceName::PatientService), tables).unwrap(), "0");
}

#[test]
fn what_an_engine_has_wrapped_is_restored_where_that_engine_wraps_and_nowhere_else() {
    let server = Server::start();
    server.job("database-setup").unwrap();
    migrate(&server);
    let patient = url(&server, ServiceName::PatientService);
    server.sql(&patient, &key("ada", "transit/clinic:v2")).unwrap();
    server.sql(&patient, &key("bob", &server.kek_id())).unwrap();
    server.backup().unwrap();
    let without = Server::start_restored(&server);
    without.job("database-setup").unwrap();
    without.take_backups_of(&server);
    let said = without.job("restore").unwrap_err();
    assert!(said.contains("wrapped under the key-encryption key transit/clinic:v2, but"), "{said}");

    let restored = Server::start_restored_with_engine(&server);
    restored.job("database-setup").unwrap();
    restored.take_backups_of(&server);
    restored.job("restore").unwrap();
    let keys = "select string_agg(subject, ' ' order by subject) from patient_keys.data_key where subject in ('ada', 'bob')";
    assert_eq!(restored.sql(&url(&restored, ServiceName::PatientService), keys).unwrap(), "ada bob");
}

/// SQL that adds a key.
fn key(subject: &str, kek_id: &str) -> String {
    format!(
        "insert into patient_keys.kek (id, wraps) values ('{kek_id}', '{kek_id}') on conflict do nothing; \
         insert into patient_keys.data_key (subject, generation, wrapped, kek_id, created_at) \
         values ('{subject}', 1, 'w', '{kek_id}', now())"
    )
}

#[test]
fn a_backup_goes_through_a_bucket_into_a_new_stack() {
    let mut store = S3Server::start(&["backups"]);
    let server = Server::start_with_bucket(&store, None);
    server.job("database-setup").unwrap();
    migrate(&server);
    let patient = url(&server, ServiceName::PatientService);
    for subject in ["ada", "bob", "eve"] {
        server.sql(&patient, &key(subject, &server.kek_id())).unwrap();
        assert!(server.backup().unwrap().contains("bytes of data are there"));
        // Names are seconds, and those in the bucket are not looked at first: a second backup would take the place of the first.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    }
    let objects = store.objects("backups");
    assert_eq!(objects.len(), 5, "two backups and the latest keys: {objects:?}");
    assert!(objects.iter().all(|object| object.starts_with("hospital/east/clinic/")), "{objects:?}");

    let restored = Server::start_with_bucket(&store, Some(&server));
    restored.job("database-setup").unwrap();
    assert!(restored.job("restore").unwrap().starts_with("restored from "));
    let schemas: Vec<_> =
        ServiceName::ALL.iter().flat_map(|service| operator::secrets::schemas(*service)).collect();
    let schemas: Vec<_> = schemas.iter().map(String::as_str).collect();
    assert_same(&server.dump(&schemas), &restored.dump(&schemas));
    assert!(server.dump(&schemas).contains("eve"));

    // Planned anew, by another version of the operator: the bucket is not asked again, nor even there.
    store.kill();
    assert!(restored.job("restore").unwrap().starts_with("already restored from "));
}

/// A damaged backup is refused, and nothing of it gets in. Afterwards it is whole again.
fn damage(restored: &Server) {
    let newest = list(&restored.path("backup/data")).into_iter().max().unwrap();
    let keys = list(&restored.path("backup/keys")).into_iter().find(|path| path.extension().is_some());
    for file in [newest.join("data.dump"), keys.unwrap()] {
        let whole = fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&file, damaged).unwrap();
        assert!(restored.job("restore").unwrap_err().contains("damaged"));
        fs::write(&file, whole).unwrap();
    }
    let patient = url(restored, ServiceName::PatientService);
    assert_eq!(
        restored.sql(&patient, "select count(*) from pg_tables where schemaname = 'patient'").unwrap(),
        "0"
    );
}

/// The real schemas of all services, made as each service's own role.
fn migrate(server: &Server) {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    for service in ServiceName::ALL {
        let url = url(server, service);
        let [data, keys] = operator::secrets::schemas(service);
        let shared = services.join("shared/db/migrations");
        for (schema, dir) in [
            (&data, shared.join("shared/postgres")),
            (&data, services.join(service.short()).join("migrations/postgres")),
            (&keys, shared.join("keys/postgres")),
        ] {
            for file in list(&dir) {
                server
                    .sql_file(&url, &format!("{schema},public"), &file)
                    .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            }
        }
    }
}

/// Says where two long texts differ.
fn assert_same(before: &str, after: &str) {
    for (number, (before, after)) in before.lines().zip(after.lines()).enumerate() {
        assert_eq!(before, after, "line {number}");
    }
    assert_eq!(before.lines().count(), after.lines().count());
}
