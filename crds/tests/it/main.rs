//! What the crate promises: the samples are stacks, faults are found with their paths, plans are as reviewed, the definition is current.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

mod definition;
mod faults;
mod mutations;
mod plans;
mod routing;
mod rules;
mod samples;
mod two_files;

/// The repository's folder.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file's text, from the repository's folder.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text of one of manifests/samples.
fn sample(name: &str) -> String {
    read(&format!("manifests/samples/{name}.yaml"))
}

/// A stack named `clinic` with this `spec:`, in YAML without indentation.
fn with_spec(spec: &str) -> String {
    let spec = spec.replace('\n', "\n  ");
    format!(
        "apiVersion: healthcarestack.dev/v1alpha1\nkind: HealthcareStack\nmetadata:\n  name: clinic\nspec:\n  {spec}\n"
    )
}

/// That stack.
fn stack(spec: &str) -> stack::Stack {
    stack::Stack::from_yaml(&with_spec(spec)).unwrap_or_else(|invalid| panic!("{invalid}"))
}
