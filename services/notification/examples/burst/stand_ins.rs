//! What stands in for the others, each in a process of its own: a mail server that takes all, and services that know everybody.

use std::process::{Child, Command, Stdio};

use contracts::id::PatientId;
use contracts::patients::{ContactInfo, PatientContact};
use contracts::providers::Provider;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A stand-in that runs. It ends with this process.
pub(crate) struct StandIn {
    pub(crate) port: u16,
    pub(crate) process: Child,
}

impl StandIn {
    /// The one of this name.
    pub(crate) fn start(name: &str) -> Self {
        let this = std::env::current_exe().unwrap();
        let mut process = Command::new(this).arg(name).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        let told = process.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(told), &mut port).unwrap();
        Self { port: port.trim().parse().unwrap(), process }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A mail server that takes all.
pub(crate) async fn sink() {
    let listener = listen().await;
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take(stream));
    }
}

async fn take(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await?;
    let mut is_text = false;
    while let Some(line) = lines.next_line().await? {
        if is_text && line != "." {
            continue;
        }
        let is_end = std::mem::take(&mut is_text);
        is_text = !is_end && line.eq_ignore_ascii_case("DATA");
        write.write_all(if is_text { b"354 go on\r\n" } else { b"250 well\r\n" }).await?;
    }
    Ok(())
}

/// The patient and the provider service, as far as they are asked where somebody is reached.
pub(crate) async fn peers() {
    let listener = listen().await;
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream));
    }
}

async fn answer(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut path = None;
    while let Some(line) = lines.next_line().await? {
        if !line.is_empty() {
            path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
            continue;
        }
        let body = known(&path.take().unwrap_or_default());
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
        write.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
    }
    Ok(())
}

/// What is answered to a `GET` of this path.
fn known(path: &str) -> String {
    let id = path.rsplit('/').next().unwrap();
    let contact_info = ContactInfo { phone: None, email: Some(mailbox(id)) };
    if path.starts_with("/internal/contacts/") {
        let patient_id = PatientId::trusted(id.to_owned());
        return serde_json::to_string(&PatientContact { patient_id, contact_info }).unwrap();
    }
    let provider = Provider {
        provider_id: id.to_owned(),
        name: format!("Dr. Jane Doe {id}"),
        specialization: "Cardiology".to_owned(),
        contact_info,
        availability: Vec::new(),
        time_zone: "Europe/Berlin".to_owned(),
        locations: Vec::new(),
        visit_types: Vec::new(),
        overrides: Vec::new(),
        languages: Vec::new(),
        taxonomy_code: None,
    };
    serde_json::to_string(&provider).unwrap()
}

/// Everybody's is another.
pub(crate) fn mailbox(id: &str) -> String {
    format!("{id}@mail.example")
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    listener
}
