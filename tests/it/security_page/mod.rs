//! docs/security.md says of each safeguard where it is and which test shows it. Here the page is read: a file, a heading or a test that it
//! names and that is not there is told, and so is a row that names none and gives no reason. The runbook's commands are read likewise.

mod page;
mod runbook;
mod test_names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use page::{Row, faults, rows};

/// What 45 CFR 164.312 has: each of its standards and implementation specifications needs a row.
const TECHNICAL_SAFEGUARDS: [&str; 12] = [
    "(a)(1)",
    "(a)(2)(i)",
    "(a)(2)(ii)",
    "(a)(2)(iii)",
    "(a)(2)(iv)",
    "(b)",
    "(c)(1)",
    "(c)(2)",
    "(d)",
    "(e)(1)",
    "(e)(2)(i)",
    "(e)(2)(ii)",
];
/// And what of the Privacy Rule and the GDPR a patient can ask for.
const RIGHTS: [&str; 11] = [
    "§164.502(b)",
    "§164.524",
    "§164.526",
    "§164.528",
    "Art. 15",
    "Art. 16",
    "Art. 17",
    "Art. 18",
    "Art. 19",
    "20",
    "Art. 33",
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").canonicalize().unwrap()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(docs().join(name)).unwrap()
}

#[test]
fn each_row_of_the_security_page_names_what_there_is() {
    let page = read("security.md");
    let rows: Vec<Row<'_>> = rows(&page);
    assert!(rows.len() > 60, "{} rows are read", rows.len());
    let faults = faults(&page, &docs());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_standard_has_a_row_of_its_own() {
    let page = read("security.md");
    let rows = rows(&page);
    let cited: BTreeSet<&str> = rows.iter().map(Row::cited).collect();
    for citation in TECHNICAL_SAFEGUARDS {
        assert!(cited.contains(citation), "164.312{citation}");
    }
    for citation in RIGHTS {
        assert!(cited.iter().any(|cited| cited.contains(citation)), "{citation}");
    }
}

#[test]
fn what_other_pages_on_security_lead_to_is_there() {
    for name in ["incidents.md", "../SECURITY.md"] {
        let file = docs().join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        let faults = page::broken_links(&text, file.parent().unwrap());
        assert!(faults.is_empty(), "{name}: {}", faults.join("\n"));
    }
}
