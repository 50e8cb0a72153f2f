//! [`Place`]: where a TCP address leads. Numbers lead where they say. A name is looked up for each new connection, so that what moves is followed; and
//! while the resolver cannot say where it leads, it leads where it led before.
//!
//! A lookup cannot be called off: a resolver that hangs keeps a thread for each. So a name has one lookup at a time, whoever waits for it, and
//! nobody waits for long. A resolver that says that there is no such name is believed, and at once: at the old address may be
//! somebody else by now. Not for connections that are kept: they need no name.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Nobody waits longer for the resolver than this from when it was asked. Of the time in which a connection must be made the rest is left.
const PATIENCE: Duration = Duration::from_millis(300);

/// Where an address leads.
#[derive(Debug)]
pub(crate) enum Place {
    Numbers(Arc<[SocketAddr]>),
    Name(Arc<Name>),
}

/// What a resolver says.
#[derive(Clone, Debug)]
enum Said {
    Found(Arc<[SocketAddr]>),
    NoSuchName,
    /// It cannot be asked, or does not know now.
    CannotSay(String),
}

type Resolver = dyn Fn(&str, u16) -> Said + Send + Sync;

/// A name, and what is known of it.
pub(crate) struct Name {
    host: String,
    port: u16,
    resolver: Box<Resolver>,
    known: Mutex<Known>,
    said: Notify,
}

#[derive(Default)]
struct Known {
    /// Where it led when that was last known.
    last: Option<Arc<[SocketAddr]>>,
    /// When the lookup began that is under way.
    asked: Option<Instant>,
    /// What the lookup before came to.
    said: Option<Said>,
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Place {
    /// Of an authority, which has a port.
    pub(crate) fn of(authority: &http::uri::Authority) -> Option<Self> {
        if let Ok(address) = authority.as_str().parse::<SocketAddr>() {
            return Some(Self::Numbers([address].into()));
        }
        let port = authority.port_u16()?;
        Some(Self::Name(Arc::new(Name::new(authority.host(), port, Box::new(ask)))))
    }

    /// The addresses to connect to, in the order in which they are to be tried.
    pub(crate) async fn addresses(&self) -> io::Result<Arc<[SocketAddr]>> {
        match self {
            Self::Numbers(addresses) => Ok(Arc::clone(addresses)),
            Self::Name(name) => name.addresses().await,
        }
    }
}

impl Name {
    fn new(host: &str, port: u16, resolver: Box<Resolver>) -> Self {
        Self { host: host.to_owned(), port, resolver, known: Mutex::default(), said: Notify::new() }
    }

    async fn addresses(self: &Arc<Self>) -> io::Result<Arc<[SocketAddr]>> {
        let mut said = std::pin::pin!(self.said.notified());
        // From here on it misses nothing.
        said.as_mut().enable();
        let asked = self.ask();
        let is_told = timeout_at(asked + PATIENCE, said).await.is_ok();
        let known = self.known();
        let why = match &known.said {
            Some(Said::Found(addresses)) if is_told => return Ok(Arc::clone(addresses)),
            Some(Said::NoSuchName) if is_told => {
                return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no {}", self.host)));
            }
            Some(Said::CannotSay(why)) if is_told => why.as_str(),
            _ => "the resolver does not answer",
        };
        let last = known.last.clone();
        tracing::debug!(name = %self.host, why, is_known = last.is_some(), "a name cannot be looked up");
        last.ok_or_else(|| io::Error::other(format!("{} cannot be looked up: {why}", self.host)))
    }

    /// Begins a lookup unless there is one; when it began.
    fn ask(self: &Arc<Self>) -> Instant {
        let mut known = self.known();
        if let Some(asked) = known.asked {
            return asked;
        }
        let now = Instant::now();
        known.asked = Some(now);
        drop(known);
        let mut lookup = Lookup { name: Arc::clone(self), said: None };
        tokio::task::spawn_blocking(move || {
            let Lookup { name, said } = &mut lookup;
            *said = Some((name.resolver)(&name.host, name.port));
        });
        now
    }

    fn learn(&self, said: Said) {
        let mut known = self.known();
        match &said {
            Said::Found(addresses) => known.last = Some(Arc::clone(addresses)),
            Said::NoSuchName => known.last = None,
            Said::CannotSay(_) => {}
        }
        (known.asked, known.said) = (None, Some(said));
        drop(known);
        self.said.notify_waiters();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup under way. However it ends (the resolver may panic, there may be no thread for it), the name has heard of it: one that waited for it for
/// ever would never be looked up again.
struct Lookup {
    name: Arc<Name>,
    said: Option<Said>,
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let said = self.said.take();
        self.name.learn(said.unwrap_or_else(|| Said::CannotSay("the lookup broke off".to_owned())));
    }
}

/// Asks the machine's resolver, and waits as long as that takes.
fn ask(host: &str, port: u16) -> Said {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = match getaddrinfo(Some(host), None, Some(hints)) {
        Ok(found) => found,
        Err(error) => {
            return match error.kind() {
                LookupErrorKind::NoName | LookupErrorKind::NoData => Said::NoSuchName,
                _ => Said::CannotSay(io::Error::from(error).to_string()),
            };
        }
    };
    let with_port = |found: dns_lookup::AddrInfo| SocketAddr::new(found.sockaddr.ip(), port);
    let addresses: Arc<[SocketAddr]> = found.filter_map(Result::ok).map(with_port).collect();
    if addresses.is_empty() { Said::NoSuchName } else { Said::Found(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const FIRST: &str = "10.0.0.1:80";
    const SECOND: &str = "10.0.0.2:80";

    fn found(address: &str) -> Said {
        Said::Found([address.parse().unwrap()].into())
    }

    fn cannot() -> Said {
        Said::CannotSay("try again".to_owned())
    }

    /// A name whose resolver says these, one after another.
    fn name(says: Vec<Said>) -> Arc<Name> {
        let says = Mutex::new(says.into_iter());
        let resolver = move |_: &str, _: u16| says.lock().unwrap().next().unwrap();
        Arc::new(Name::new("patients", 80, Box::new(resolver)))
    }

    async fn leads(name: &Arc<Name>) -> Option<String> {
        name.addresses().await.ok().map(|addresses| addresses[0].to_string())
    }

    #[test]
    fn numbers_are_no_name() {
        for (authority, is_name) in
            [("127.0.0.1:80", false), ("[::1]:80", false), ("localhost:80", true), ("a.b:1", true)]
        {
            let place = Place::of(&authority.parse().unwrap()).unwrap();
            assert_eq!(matches!(place, Place::Name(_)), is_name, "{authority}");
        }
    }

    #[tokio::test]
    async fn the_machine_knows_itself() {
        let place = Place::of(&"localhost:81".parse().unwrap()).unwrap();
        let addresses = place.addresses().await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 81));
    }

    #[tokio::test]
    async fn a_name_is_followed_where_it_leads() {
        let name = name(vec![found(FIRST), found(SECOND)]);
        assert_eq!(leads(&name).await.as_deref(), Some(FIRST));
        assert_eq!(leads(&name).await.as_deref(), Some(SECOND));
    }

    #[tokio::test]
    async fn while_nobody_can_say_it_leads_where_it_led() {
        let name = name(vec![cannot(), found(FIRST), cannot(), cannot(), found(SECOND)]);
        assert_eq!(leads(&name).await, None, "it was never known");
        for expected in [FIRST, FIRST, FIRST, SECOND] {
            assert_eq!(leads(&name).await.as_deref(), Some(expected));
        }
    }

    #[tokio::test]
    async fn a_name_that_is_taken_away_leads_nowhere_from_then_on() {
        let name = name(vec![found(FIRST), Said::NoSuchName, cannot(), found(SECOND)]);
        for expected in [Some(FIRST), None, None, Some(SECOND)] {
            assert_eq!(leads(&name).await.as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn a_lookup_that_breaks_off_is_not_the_last_one() {
        let asked = AtomicUsize::new(0);
        let resolver = move |_: &str, _: u16| match asked.fetch_add(1, Ordering::SeqCst) {
            1 => panic!("a mistake"),
            0 => found(FIRST),
            _ => found(SECOND),
        };
        let name = Arc::new(Name::new("patients", 80, Box::new(resolver)));
        for _ in 0..2 {
            assert_eq!(leads(&name).await.as_deref(), Some(FIRST));
        }
        // It may take a while to break off.
        while leads(&name).await.as_deref() != Some(SECOND) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_resolver_that_hangs_is_asked_once_and_waited_for_once() {
        let (asked, (go, hang)) = (Arc::new(AtomicUsize::new(0)), std::sync::mpsc::channel::<()>());
        let (count, hang) = (Arc::clone(&asked), Mutex::new(hang));
        let resolver = move |_: &str, _: u16| {
            if count.fetch_add(1, Ordering::SeqCst) == 1 {
                let _ = hang.lock().unwrap().recv();
                return found(SECOND);
            }
            found(FIRST)
        };
        let name = Arc::new(Name::new("patients", 80, Box::new(resolver)));
        assert_eq!(leads(&name).await.as_deref(), Some(FIRST));
        let since = std::time::Instant::now();
        for _ in 0..5 {
            let asking: Vec<_> = (0..50).map(|_| leads(&name)).collect();
            let led = futures_util::future::join_all(asking).await;
            assert!(led.iter().all(|led| led.as_deref() == Some(FIRST)));
        }
        assert!(since.elapsed() < PATIENCE * 3, "only the first wait: {:?}", since.elapsed());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        go.send(()).unwrap();
        while leads(&name).await.as_deref() != Some(FIRST) || asked.load(Ordering::SeqCst) < 3 {
            assert!(since.elapsed() < Duration::from_secs(10), "its answer is never heard");
        }
    }
}
