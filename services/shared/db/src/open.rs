//! [`OpenTo`]: whether a database that is opened may be made, or changed.

/// What a database is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenTo {
    /// To run a service on it: what is missing is made.
    Serve,
    /// To change what is there, and make nothing.
    Change,
    /// To look at what is there.
    Look,
}
