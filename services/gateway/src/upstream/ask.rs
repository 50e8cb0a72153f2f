//! [`Ask`]: a request's head, as a service is to get it: what goes on of what its client said, and what the gateway says itself.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::sending::write_line;
use crate::client::{Client, FORWARDED_HOST};
use crate::headers::{REQUEST_ID, TRACEPARENT};
use crate::pace::TIME_LEFT;

/// A request without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a Method,
    /// In origin form.
    pub(crate) uri: &'a Uri,
    /// None of these is a line of the gateway's own. Those of a body's length are passed over.
    pub(crate) headers: &'a HeaderMap,
    /// A health check has none.
    pub(crate) own: Option<&'a OwnLines<'a>>,
}

/// What the gateway says in a request, in the place of whatever its client said under these names.
#[derive(Clone, Debug)]
pub(crate) struct OwnLines<'a> {
    pub(crate) client: &'a Client,
    /// The host that the client asked for, unless a trusted proxy has said which it was.
    pub(crate) forwarded_host: Option<HeaderValue>,
    pub(crate) request_id: HeaderValue,
    pub(crate) traceparent: HeaderValue,
    pub(crate) time_left: HeaderValue,
    pub(crate) option: ConnectionOption,
    /// Its client waits to be told that its body is wanted.
    pub(crate) expects: bool,
}

/// What is asked of this connection alone (RFC 9110 §7.6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConnectionOption {
    #[default]
    None,
    /// Trailers are taken (RFC 9110 §6.5.1).
    Trailers,
    /// To become a WebSocket (RFC 6455 §4.1).
    WebSocket,
}

impl Ask<'_> {
    /// Whether it asks for what HTTP/2 has no words for, or which hyper does not hear there: a WebSocket, and to be told when its body is wanted.
    pub(super) fn is_for_http1(&self) -> bool {
        self.own.is_some_and(|own| own.expects || own.option == ConnectionOption::WebSocket)
    }

    /// The head as HTTP/1.1 has it, without the lines that say where the body ends, and without the empty one.
    pub(super) fn write(&self, out: &mut Vec<u8>, host: &HeaderValue) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_line(out, b"host", host);
        for (name, value) in self.headers {
            if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING && *name != HOST {
                write_line(out, name.as_str().as_bytes(), value);
            }
        }
        if let Some(own) = self.own {
            own.write(out);
        }
    }
}

impl OwnLines<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.client.lines.as_bytes());
        if let Some(host) = &self.forwarded_host {
            write_line(out, FORWARDED_HOST.as_str().as_bytes(), host);
        }
        write_line(out, REQUEST_ID.as_str().as_bytes(), &self.request_id);
        write_line(out, TRACEPARENT.as_str().as_bytes(), &self.traceparent);
        write_line(out, TIME_LEFT.as_str().as_bytes(), &self.time_left);
        out.extend_from_slice(match self.option {
            ConnectionOption::None => b"",
            ConnectionOption::Trailers => b"connection: te\r\nte: trailers\r\n",
            ConnectionOption::WebSocket => b"connection: upgrade\r\nupgrade: websocket\r\n",
        });
        if self.expects {
            out.extend_from_slice(b"expect: 100-continue\r\n");
        }
    }
}
