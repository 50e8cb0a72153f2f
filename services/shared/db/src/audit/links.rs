//! Links in the look-up that lead to an entry which does not name whom they are of, or to none: somebody is told of an access to their data
//! that there was not.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{Error, Tx, on, sql};

/// The first entry of each chain that is found by somebody whom it does not name, or at a time that is not its own. Of links whose time is
/// `from` or later.
pub(super) async fn misleading(tx: &mut Tx, from: DateTime<Utc>) -> Result<BTreeMap<String, i64>, Error> {
    let rows: Vec<(String, i64)> = on!(tx, |conn| sqlx::query_as(sql!(
        "select link.chain, min(link.seq) from audit_patient link \
         left join audit on audit.chain = link.chain and audit.seq = link.seq and audit.at = link.at \
         where link.at >= $1 and (audit.chain is null \
         or replace(audit.patients, link.patient, '') = audit.patients) group by link.chain"
    ))
    .bind(from)
    .fetch_all(conn)
    .await)?;
    Ok(rows.into_iter().collect())
}
