//! What is shipped says what it is made of: bills of the images, lists inside of binaries, and an audit that says of which day it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const VALIDATOR: &str = "cyclonedx-python-lib[json-validation]==11.12.0";
/// Answers with the fault of each file that has one.
const VALIDATE: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for path in sys.argv[1:]:
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(path).read())
    if fault: print(path, fault)
";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A script of ours.
fn script(name: &str) -> Command {
    let mut command = Command::new(repository().join("scripts").join(name));
    command.env("SOURCE_DATE_EPOCH", "1767225600");
    command
}

/// Whether it ended well, and what it said.
fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn done(command: &mut Command) -> String {
    let (well, text) = said(command);
    assert!(well, "{command:?}: {text}");
    text
}

fn bills(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[test]
fn each_image_has_a_bill_in_cyclonedx_that_is_the_same_every_time() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        done(script("sbom").args(["--tag", "1.2.3", "--out"]).arg(folder.path()));
    }
    let [first, second] = folders.each_ref().map(|folder| bills(folder.path()));
    assert!(first == second, "the same source gives another bill");
    let images = fs::read_to_string(repository().join("scripts/images.txt")).unwrap();
    let images = images.lines().filter(|line| !line.starts_with('#'));
    let expected: BTreeSet<_> =
        images.map(|line| format!("{}.cdx.json", line.split_whitespace().next().unwrap())).collect();
    assert_eq!(first.keys().cloned().collect::<BTreeSet<_>>(), expected);

    let python = testkit::python::python("venv-cyclonedx", VALIDATOR).unwrap();
    let files: Vec<_> = first.keys().map(|name| folders[0].path().join(name)).collect();
    assert_eq!(done(Command::new(&python).args(["-c", VALIDATE]).args(&files)), "");
    // It is not content with everything.
    fs::write(
        &files[0],
        r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "crate"}]}"#,
    )
    .unwrap();
    assert!(done(Command::new(python).args(["-c", VALIDATE]).args(&files)).contains("crate"));

    let patient: Value = serde_json::from_slice(&first["patient-service.cdx.json"]).unwrap();
    assert_eq!(
        (text(&patient, "specVersion"), text(&patient["metadata"], "timestamp")),
        ("1.6", "2026-01-01T00:00:00Z")
    );
    assert_eq!(text(&patient["metadata"]["component"], "version"), "1.2.3");
}

#[test]
fn a_bill_names_all_that_its_image_is_made_of_and_what_becomes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    done(script("sbom").arg("--out").arg(folder.path()));
    let read = |image: &str| -> Value {
        serde_json::from_slice(&fs::read(folder.path().join(format!("{image}.cdx.json"))).unwrap()).unwrap()
    };
    let (gateway, patient) = (read("api-gateway"), read("patient-service"));
    let scope = |bill: &Value, name: &str| {
        let found =
            bill["components"].as_array().unwrap().iter().find(|component| text(component, "name") == name);
        found.map(|component| text(component, "scope").to_owned()).unwrap_or_default()
    };
    let scopes = |bill: &Value| {
        ["hyper", "sqlite", "aws-lc", "glibc", "cmake", "proptest"].map(|name| scope(bill, name))
    };
    // What tests alone need is nowhere, and no database is in the gateway.
    assert_eq!(scopes(&patient), ["required", "required", "required", "required", "excluded", ""]);
    assert_eq!(scopes(&gateway), ["required", "optional", "required", "required", "excluded", ""]);

    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    for component in patient["components"].as_array().unwrap() {
        let (name, purl) = (text(component, "name"), text(component, "purl"));
        if purl.starts_with("pkg:cargo/") {
            let checksum = text(&component["hashes"][0], "content");
            let entry = format!(
                "name = \"{name}\"\nversion = \"{}\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{checksum}\"",
                text(component, "version")
            );
            assert!(lock.contains(&entry), "{component}");
        } else {
            // What is ours must not be taken for what somebody else has on a registry.
            assert!(
                text(component, "group") == "healthcare-stack" || !text(component, "cpe").is_empty(),
                "{component}"
            );
        }
    }
    everything_hangs_together(&patient);
}

/// From the image one gets to all of it, and to nothing that is not there.
fn everything_hangs_together(bill: &Value) {
    let edges: BTreeMap<&str, Vec<&str>> = bill["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            (
                text(edge, "ref"),
                edge["dependsOn"].as_array().unwrap().iter().filter_map(Value::as_str).collect(),
            )
        })
        .collect();
    let image = text(&bill["metadata"]["component"], "bom-ref");
    let (mut found, mut waiting) = (BTreeSet::new(), vec![image]);
    while let Some(reference) = waiting.pop() {
        if found.insert(reference) {
            waiting.extend(edges.get(reference).unwrap_or_else(|| panic!("{reference} is nowhere")));
        }
    }
    let components =
        bill["components"].as_array().unwrap().iter().map(|component| text(component, "bom-ref"));
    assert_eq!(found, components.chain([image]).collect());
}

/// A program that depends on a crate, both without anything else, beside a place to build it.
fn program() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let package = |name: &str, dependencies: &str, file: &str, code: &str| {
        let folder = dir.path().join(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"3.1.4\"\nedition = \"2024\"\n[dependencies]\n{dependencies}\n[workspace]\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join("src").join(file), code).unwrap();
    };
    package("leaf", "", "lib.rs", "pub fn word() -> &'static str { \"word\" }");
    package(
        "trunk",
        "leaf = { path = \"../leaf\" }",
        "main.rs",
        "fn main() { println!(\"{}\", leaf::word()); }",
    );
    dir
}

fn built(dir: &Path, how: &[&str]) -> PathBuf {
    let target = dir.join(how.join("-"));
    let mut cargo = Command::new("cargo");
    cargo.args(how).args(["--quiet", "--offline"]).current_dir(dir.join("trunk"));
    done(cargo.env("CARGO_TARGET_DIR", &target).env_remove("RUSTFLAGS"));
    target.join("debug/trunk")
}

#[test]
fn a_binary_tells_its_crates_after_it_was_stripped() {
    let dir = program();
    let binary = built(dir.path(), &["auditable", "build"]);
    done(Command::new("strip").arg(&binary));
    assert_eq!(done(script("crates-in").arg(&binary)), "leaf 3.1.4 runtime\ntrunk 3.1.4 runtime\n");

    // By which a bill is checked, whoever wrote it.
    let bill = dir.path().join("bill.json");
    let naming = |crates: &[&str]| {
        let components: Vec<_> =
            crates.iter().map(|name| serde_json::json!({"purl": format!("pkg:cargo/{name}")})).collect();
        fs::write(&bill, serde_json::json!({"components": components}).to_string()).unwrap();
        said(script("crates-in").arg(&binary).arg("--covers").arg(&bill))
    };
    assert_eq!(naming(&["leaf@3.1.4"]), (true, String::new()));
    for (crates, fault) in [
        (&["leaf@3.1.4", "branch@1.0.0"][..], "it has no branch 1.0.0"),
        (&["leaf@3.1.5"], "it has no leaf 3.1.5"),
        (&[], "names no crate"),
    ] {
        let (well, text) = naming(crates);
        assert!(!well && text.contains(fault), "{text}");
    }

    let (well, text) = said(script("crates-in").arg(built(dir.path(), &["build"])));
    assert!(!well && text.contains("there is no list of crates in it"), "{text}");
}

/// Cargo's folder, as far as no advisory database is in it: the tests' own must not be taken for the real one.
fn cargo_home() -> TempDir {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let real = variable("CARGO_HOME").or_else(|| Some(variable("HOME")?.join(".cargo"))).unwrap();
    let home = tempfile::tempdir().unwrap();
    for name in ["registry", "config.toml"] {
        if real.join(name).exists() {
            std::os::unix::fs::symlink(real.join(name), home.path().join(name)).unwrap();
        }
    }
    home
}

/// An advisory database with one advisory, of this crate.
fn advisories(about: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("crates").join(about);
    fs::create_dir_all(&folder).unwrap();
    let advisory = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-9999\"\npackage = \"{about}\"\ndate = \"2026-01-31\"\n\n[versions]\npatched = []\n```\n\n# It cannot be trusted\n\nAt all.\n"
    );
    fs::write(folder.join("RUSTSEC-2026-9999.md"), advisory).unwrap();
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@example.org"])
            .args(words)
            .current_dir(dir.path());
        done(git.env("GIT_COMMITTER_DATE", "2026-01-31T12:00:00Z"));
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=One advisory"]);
    dir
}

#[test]
fn an_audit_says_of_which_day_it_is_and_fails_where_it_cannot_be() {
    let audit = |database: &str, home: &Path, more: &[&str]| {
        let mut audit = script("audit");
        said(audit.args(more).env("ADVISORY_DB", database).env("CARGO_HOME", home))
    };
    let at = |database: &TempDir| format!("file://{}", database.path().display());

    let home = cargo_home();
    let (well, text) = audit("file:///nowhere", home.path(), &[]);
    assert!(!well && text.contains("*** THE CRATES WERE NOT AUDITED. ***"), "{text}");
    let (well, text) = audit("file:///nowhere", home.path(), &["--as-it-is"]);
    assert!(!well && text.contains("*** THE CRATES WERE NOT AUDITED. ***"), "{text}");

    let (well, text) = audit(&at(&advisories("none-of-ours")), home.path(), &[]);
    assert!(well && text.contains("Advisory database of 2026-01-31"), "{text}");
    let (well, text) = audit("file:///nowhere", home.path(), &["--as-it-is"]);
    assert!(well && text.contains("Advisory database of 2026-01-31"), "{text}");

    let (well, text) = audit(&at(&advisories("serde_json")), cargo_home().path(), &[]);
    assert!(!well && text.contains("RUSTSEC-2026-9999"), "{text}");
}
