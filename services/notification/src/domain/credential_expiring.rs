//! The mail that tells a provider that a credential of theirs ends soon. It names the credential by its id and the day: mail is read by
//! whoever sees the screen.

use contracts::event::{CredentialNotice, What};
use contracts::field::Email;
use contracts::notifications::Channel;

use super::notification::{Content, Draft};

/// The credential that a provider is to be told of.
pub fn notice(what: &What) -> Option<&CredentialNotice> {
    match what {
        What::CredentialExpiring(notice) => Some(notice),
        _ => None,
    }
}

/// The mail. It concerns no patient.
pub fn letter(notice: &CredentialNotice, provider: &Email) -> Draft {
    let CredentialNotice { credential_id, expires_on, .. } = notice;
    Draft {
        channel: Channel::Email,
        content: Content {
            to: provider.to_string(),
            subject: Some("A credential of yours expires soon".to_owned()),
            body: format!(
                "Your credential {credential_id} is good until {expires_on}.\n\
                 After that day nobody can be booked with you until it is renewed here.\n\
                 Please renew it, and tell whoever looks after credentials at the clinic.\n"
            ),
            critical: false,
            invitation: None,
        },
        patient: None,
    }
}
