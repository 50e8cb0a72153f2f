//! Tells Cargo that the migrations are compiled in: a new file there must rebuild the crate.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
