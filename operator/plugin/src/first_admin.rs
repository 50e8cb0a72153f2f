//! `first-admin`: the first administrator's name and password, from the Secret that the operator made.

use std::io::Write;

use stack::names;

use crate::Answer;
use crate::cluster::Cluster;
use crate::error::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The stack's name
    name: String,
    /// The password alone, for scripts
    #[arg(long)]
    password_only: bool,
}

pub(crate) async fn run(cluster: &Cluster, options: &Options) -> Result<Answer, Error> {
    cluster.stack(&options.name).await?;
    let secret = names::object(&options.name, names::FIRST_ADMIN);
    let data = cluster.secret(&options.name, names::FIRST_ADMIN).await?.and_then(|secret| secret.data).ok_or_else(|| {
        Error::Missing(format!(
            "there is no Secret {secret}: the operator has not made it yet, or somebody deleted it after the first login"
        ))
    })?;
    let text = |key: &str| {
        let value = data.get(key).and_then(|value| std::str::from_utf8(&value.0).ok());
        value.ok_or_else(|| Error::Missing(format!("the Secret {secret} has no {key}")))
    };
    let mut out = std::io::stdout().lock();
    if options.password_only {
        writeln!(out, "{}", text("password")?)?;
    } else {
        writeln!(out, "username: {}\npassword: {}", text("username")?, text("password")?)?;
        eprintln!("\nIt is the password that the account began with. Change it after the first login.");
    }
    Ok(Answer::Yes)
}
