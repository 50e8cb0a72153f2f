//! Writes `docs/roles.md`: what each role may do, what each operation asks for, and what the parts of the stack may among themselves.

use contracts::endpoint::{Access, Operation};
use contracts::permission::{Permission, Permissions, Role};
use http_kit::identity::Part;

fn main() {
    println!(
        "<!-- Generated from services/shared/contracts/src/permission.rs and services/shared/http-kit/src/identity.rs by `make generate`. \
         Do not edit. -->\n"
    );
    println!("# Roles\n");
    println!(
        "What a user may do is what their roles may, together. Whoever is a patient and nothing else sees what is theirs alone. How it is \
         kept to, and what was seen of it: [access.md](access.md).\n"
    );
    let people: Vec<_> = Role::ALL.into_iter().filter(|role| *role != Role::Service).collect();
    for role in &people {
        println!("- **{role}**: {}", role.summary());
    }
    println!("\n## What each role may do\n");
    let columns: Vec<_> = people.iter().map(|role| (role.as_str(), role.permissions())).collect();
    matrix(&columns, |permission| !permission.is_internal());
    println!("\n## What each operation asks for\n");
    println!("| operation | | asks for |\n|---|---|---|");
    for operation in contracts::operations().filter(|operation| !operation.is_internal()) {
        let method = operation.method.as_str();
        println!("| {} | `{method} {}` | {} |", operation.summary, operation.path, needs(operation));
    }
    println!("\n## What the parts of the stack may among themselves\n");
    println!(
        "Each signs by a key of its own, and is believed no more than this, whatever its tokens say: so much is a stolen key worth.\n"
    );
    let columns: Vec<_> = Part::all().map(|part| (part.as_str(), part.permissions())).collect();
    matrix(&columns, |permission| columns.iter().any(|(_, permissions)| permissions.contains(permission)));
}

fn needs(operation: &Operation) -> String {
    match operation.access {
        Access::Public => "nothing".to_owned(),
        Access::SignedIn => "a user who is signed in".to_owned(),
        Access::Enrolling => {
            "a user who is signed in, be it only to [enrol a second factor](second-factor.md)".to_owned()
        }
        Access::Needs(permission) => format!("`{permission}`"),
    }
}

/// A line for each permission that `is_in`, a column for each set of them.
fn matrix(columns: &[(&str, Permissions)], is_in: impl Fn(Permission) -> bool) {
    let headings: Vec<_> = columns.iter().map(|(heading, _)| *heading).collect();
    println!("| permission | | {} |", headings.join(" | "));
    println!("|---|---|{}", ":-:|".repeat(headings.len()));
    for permission in Permission::ALL.iter().copied().filter(|permission| is_in(*permission)) {
        let cell = |(_, permissions): &(&str, Permissions)| {
            if permissions.contains(permission) { "yes" } else { "" }
        };
        let cells: Vec<_> = columns.iter().map(cell).collect();
        println!("| `{permission}` | {} | {} |", permission.summary(), cells.join(" | "));
    }
}
