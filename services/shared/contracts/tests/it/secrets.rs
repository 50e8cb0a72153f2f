//! No type that holds a secret derives `Debug`: a derived one shows it to the first who prints what is around it.

use std::fs;
use std::path::{Path, PathBuf};

/// What a member is called that holds one.
const NAMES: [&str; 8] =
    ["password", "passphrase", "token", "pkcs8", "private_key", "secret_key", "database_url", "credential"];
/// The types that show all that they hold.
const BARE: [&str; 6] = ["String", "str", "Vec<u8>", "Bytes", "ByteString", "[u8"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "tests", "examples", "benches"].contains(&&*name) {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The bare members of types that derive `Debug`, `Type.member` each, as the formatter lays code out.
fn shown(source: &str) -> Vec<String> {
    let (mut found, mut derived, mut inside) = (Vec::new(), String::new(), None);
    let mut in_derive = false;
    for line in source.lines() {
        let text = line.trim();
        if text.starts_with("#[derive(") {
            (derived, in_derive) = (String::new(), true);
        }
        if in_derive {
            derived.push_str(text);
            in_derive = !text.ends_with(")]");
            continue;
        }
        let mut words = text.split_whitespace().skip_while(|word| word.starts_with("pub"));
        if let (Some("struct" | "enum"), Some(name)) = (words.next(), words.next()) {
            let is_shown = derived.contains("Debug");
            derived.clear();
            let name = name.split(['<', '(', '{', ';']).next().unwrap_or_default().to_owned();
            inside = (is_shown && text.ends_with('{')).then_some(name);
        } else if text.starts_with('}') && !line.starts_with("        ") {
            inside = None;
        } else if let (Some(of), Some((member, kind))) = (&inside, text.split_once(": ")) {
            let member = member.rsplit(' ').next().unwrap_or_default();
            let is_secret = NAMES.iter().any(|name| member.ends_with(name));
            if is_secret && BARE.iter().any(|bare| kind.contains(bare)) {
                found.push(format!("{of}.{member}"));
            }
        }
    }
    found
}

#[test]
fn no_type_that_holds_a_secret_derives_debug() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut files = Vec::new();
    for folder in ["services", "operator", "crds"] {
        sources(&top.join(folder), &mut files);
    }
    assert!(files.len() > 200, "{}", files.len());
    let found: Vec<_> = files
        .iter()
        .flat_map(|file| {
            shown(&fs::read_to_string(file).unwrap()).into_iter().map(move |member| (file, member))
        })
        .collect();
    assert!(
        found.is_empty(),
        "{found:#?}: hold it as a `contracts::secret::Secret`, or write a `Debug` that leaves it out"
    );
}

#[test]
fn a_derived_debug_over_a_bare_secret_is_found() {
    let of = |derive: &str, member: &str| {
        shown(&format!("{derive}\npub struct Login {{\n    /// What.\n    {member},\n}}\n"))
    };
    let derive = "#[derive(Clone, Debug)]";
    for member in [
        "pub password: String",
        "pub(crate) token: Box<str>",
        "pkcs8: Vec<u8>",
        "pub database_url: Option<String>",
    ] {
        assert_eq!(of(derive, member).len(), 1, "{member}");
        assert_eq!(of("#[derive(\n    Clone, Debug,\n)]", member).len(), 1, "{member}");
        assert!(of("#[derive(Clone)]", member).is_empty(), "{member}");
    }
    for member in
        ["pub password: Option<Secret>", "pub password: SecretRef", "pub token_seconds: u32", "name: String"]
    {
        assert!(of(derive, member).is_empty(), "{member}");
    }
}
