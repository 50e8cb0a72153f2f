//! Prints the merged OpenAPI document, or a service's: `cargo run -p gateway --example openapi [patient-service]`.

use settings::ServiceName;

fn main() {
    let wanted = std::env::args().nth(1);
    let service = ServiceName::ALL.into_iter().find(|service| Some(service.as_str()) == wanted.as_deref());
    let document = service.map_or_else(gateway::openapi::merged, gateway::openapi::of_service);
    println!("{document:#}");
}
