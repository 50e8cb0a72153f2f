//! Mail servers at their worst: that accept and drop, hang, or take a message and do not say so; and the one that is asked in their place.

use std::sync::Mutex;
use std::time::Duration;

use chrono::TimeDelta;
use settings::{Integrations, MailSettings, MailTls};
use testkit::SmtpServer;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::channels::*;

fn server(port: u16) -> MailSettings {
    MailSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        from: "Clinic <no-reply@clinic.example>".to_owned(),
        username: None,
        password: None,
        dkim: None,
    }
}

fn two(outside: &mut Integrations, ports: [u16; 2]) {
    outside.mail = Some(server(ports[0]));
    outside.mail_fallback = vec![server(ports[1])];
}

/// What a server does next.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// It accepts the connection and drops it.
    Drops,
    /// It says nothing.
    Hangs,
    /// 421 in the place of a greeting.
    Closes,
    /// It has the whole message, and drops the connection before it says so.
    TakesAndDrops,
    /// It takes one message and ends the connection.
    TakesOne,
    /// As it should.
    Takes,
}

/// A server of many moods, the last of which stays; and the `Message-ID`s of what it took.
async fn moody(port: u16, moods: &'static [Mood]) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let taken = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&taken);
    tokio::spawn(async move {
        let mut at = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let mood = moods[at.min(moods.len() - 1)];
            at += 1;
            let kept = Arc::clone(&kept);
            tokio::spawn(async move { speak(stream, mood, &kept).await });
        }
    });
    taken
}

async fn speak(stream: TcpStream, mood: Mood, taken: &Mutex<Vec<String>>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    match mood {
        Mood::Drops => return None,
        Mood::Hangs => tokio::time::sleep(Duration::from_mins(1)).await,
        Mood::Closes => return write.write_all(b"421 4.3.2 shutting down\r\n").await.ok(),
        Mood::TakesAndDrops | Mood::TakesOne | Mood::Takes => write.write_all(b"220 moody\r\n").await.ok()?,
    }
    while let Some(line) = lines.next_line().await.ok()? {
        let is_data = line.eq_ignore_ascii_case("DATA");
        write.write_all(if is_data { b"354 go on\r\n" } else { b"250 well\r\n" }).await.ok()?;
        if !is_data {
            continue;
        }
        let mut id = String::new();
        loop {
            let line = lines.next_line().await.ok()??;
            if let Some(value) = line.strip_prefix("Message-ID: ") {
                value.clone_into(&mut id);
            }
            if line == "." {
                break;
            }
        }
        taken.lock().unwrap().push(id);
        if matches!(mood, Mood::TakesAndDrops) {
            return None;
        }
        write.write_all(b"250 taken\r\n").await.ok()?;
        if matches!(mood, Mood::TakesOne) {
            return None;
        }
    }
    Some(())
}

channel_tests! {
    two: async fn the_second_server_gets_what_the_first_surely_did_not_take(stack: Arc<TestStack>, ports: [u16; 2]) {
        let second = SmtpServer::start(ports[1]);
        // Nobody there.
        assert_eq!(send(&stack, "email", MAIL).await.expect(201).json()["status"], "Sent");
        // There, and not now.
        let first = moody(ports[0], &[Mood::Closes]).await;
        assert_eq!(send(&stack, "email", MAIL).await.expect(201).json()["status"], "Sent");
        assert_eq!(second.wait_for(2).await.len(), 2);
        assert!(first.lock().unwrap().is_empty());
    }

    two: async fn a_connection_that_was_ended_since_keeps_no_mail_from_its_way(stack: Arc<TestStack>, ports: [u16; 2]) {
        let second = SmtpServer::start(ports[1]);
        let first = moody(ports[0], &[Mood::TakesOne, Mood::TakesOne, Mood::Closes]).await;
        for _ in 0..3 {
            assert_eq!(send(&stack, "email", MAIL).await.expect(201).json()["status"], "Sent");
        }
        assert_eq!(second.wait_for(1).await.len(), 1);
        assert_eq!(first.lock().unwrap().len(), 2);
    }

    two: async fn what_the_first_may_have_taken_goes_to_it_again_under_the_same_name(stack: Arc<TestStack>, ports: [u16; 2]) {
        let second = SmtpServer::start(ports[1]);
        let first = moody(ports[0], &[Mood::TakesAndDrops, Mood::Takes]).await;
        let queued = send(&stack, "email", MAIL).await.expect(202);
        stack.clock.advance(TimeDelta::seconds(16));
        assert_eq!(until_not(&stack, "Queued", queued.header("location")).await["status"], "Sent");
        let taken = first.lock().unwrap().clone();
        assert_eq!((taken.len(), &taken[0]), (2, &taken[1]));
        assert!(second.mails().is_empty());
    }

    two: async fn from_a_server_that_hangs_the_answer_comes_in_time_and_the_mail_later(stack: Arc<TestStack>, ports: [u16; 2]) {
        let first = moody(ports[0], &[Mood::Hangs, Mood::Drops, Mood::Takes]).await;
        let asked = std::time::Instant::now();
        let queued = send(&stack, "email", MAIL).await.expect(202);
        assert!(asked.elapsed() < Duration::from_secs(6));
        let mut read = Value::Null;
        for _ in 0..40 {
            stack.clock.advance(TimeDelta::seconds(61));
            tokio::time::sleep(Duration::from_millis(500)).await;
            read = get(&stack, queued.header("location")).await.expect(200).json();
            if read["status"] != "Queued" {
                break;
            }
        }
        assert_eq!(read["status"], "Sent");
        assert_eq!(first.lock().unwrap().len(), 1);
    }

    two: async fn a_mailbox_that_does_not_exist_is_written_to_no_more(stack: Arc<TestStack>, ports: [u16; 2]) {
        let _first = SmtpServer::start(ports[0]);
        let refused = MAIL.replace("johndoe", "refused");
        let failed = send(&stack, "email", &refused).await.expect(201);
        let read = get(&stack, failed.header("location")).await.expect(200).json();
        assert_eq!((&read["status"], &read["providerCode"]), (&"Failed".into(), &"5.1.1".into()));
        assert_eq!(send(&stack, "email", &refused).await.expect(409).json()["code"], "suppressed");
        let _ = send(&stack, "email", &refused.replacen('{', r#"{"critical": true,"#, 1)).await.expect(201);
    }
}
