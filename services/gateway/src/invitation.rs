//! [`Invitation`]: a client that waits to be told that its body is wanted (`Expect: 100-continue`, RFC 9110 §10.1.1).
//!
//! It is the service that decides. hyper tells the client to go on when somebody begins to read the body; so nobody does before the service has
//! said so, and if it answers instead, nobody does at all. A service that says neither may know nothing of expectations, and wait for the body
//! itself: after a while it gets it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Sleep;

/// A service that has said nothing until then is sent the body. As long as widely used clients wait themselves.
const SILENCE_MAX: Duration = Duration::from_secs(1);

const OPEN: u8 = 1;
const DECLINED: u8 = 2;

/// What a service says of a body that it was told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invitation(Arc<Said>);

#[derive(Debug, Default)]
struct Said {
    what: AtomicU8,
    waker: AtomicWaker,
}

/// Before a body: opens when it is wanted.
#[derive(Debug)]
pub(crate) struct Gate {
    invitation: Invitation,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Invitation {
    /// The service wants the body.
    pub(crate) fn accept(&self) {
        self.say(OPEN);
    }

    /// The service has answered: whether or not it read a body, it reads none now.
    pub(crate) fn answered(&self) {
        let _ = self.0.what.compare_exchange(0, DECLINED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the client is left with a body that nobody asked for.
    pub(crate) fn is_declined(&self) -> bool {
        self.0.what.load(Ordering::Acquire) == DECLINED
    }

    pub(crate) fn gate(&self) -> Gate {
        Gate { invitation: self.clone(), silence: None }
    }

    fn say(&self, what: u8) {
        self.0.what.store(what, Ordering::Release);
        self.0.waker.wake();
    }
}

impl Gate {
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.invitation.0.waker.register(cx.waker());
        match self.invitation.0.what.load(Ordering::Acquire) {
            OPEN => Poll::Ready(()),
            DECLINED => Poll::Pending,
            _ => {
                // The request's head is on its way now.
                let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(SILENCE_MAX)));
                silence.as_mut().poll(cx).map(|()| self.invitation.say(OPEN))
            }
        }
    }
}
