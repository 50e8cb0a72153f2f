//! Prints the `CustomResourceDefinition`: `make generate` writes it to crds/healthcarestack.yaml.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", stack::crd_yaml()?);
    Ok(())
}
