//! Backups in an S3-compatible object store.
//!
//! ```text
//! <folder>/20261124T020000Z/data.dump    the data, sealed as it is in the database
//! <folder>/20261124T020000Z/SHA256SUMS   its digest. Written last: a backup without it is none
//! <folder>/keys/keys.dump                the wrapped keys, in their latest state alone
//! ```
//!
//! [`put_keys()`] brings keys between backups, so that whoever is erased is gone from there soon.
//!
//! [`put()`] carries there what `backup.sh` has taken, [`get()`] brings back what `restore.sh` fills a database from. The order in which it
//! writes is what makes a backup safe against an end at any moment: the data; then the keys, which are newer than the data and so open it and
//! every older backup alike; then the digest, by which the backup is one; and only then are old ones taken away.
//!
//! | file | idea |
//! |---|---|
//! | `put.rs`, `put_keys.rs`, `get.rs`, `tidy.rs` | the four things to do |
//! | `layout.rs` | what lies where, and what it is called |
//! | `upload.rs`, `download.rs` | files of any size, in bounded memory, over a line that breaks |
//! | `store.rs`, `request.rs` | requests: signed, bounded in time, tried again |
//! | `xml.rs` | the few words of an answer that `rusty-s3` does not read |

mod download;
mod error;
mod get;
mod layout;
mod put;
mod put_keys;
mod request;
mod store;
mod tidy;
mod upload;
mod xml;

pub use error::{Error, Refusal};
pub use get::{Got, get};
pub use layout::BackupName;
pub use put::{Put, put};
pub use put_keys::{KeysPut, put_keys};
pub use store::{Patience, Place, Store};
