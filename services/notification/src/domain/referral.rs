//! The mail that tells a provider of a referral: that there is one to them, or what came of theirs. It names the referral and where it stands, and
//! neither the patient nor why: mail is read by whoever sees the screen.

use contracts::event::{ReferralNotice, What};
use contracts::field::Email;
use contracts::notifications::Channel;
use contracts::referrals::ReferralStatus;

use super::notification::{Content, Draft};

/// The referral that a provider is to be told of.
pub fn notice(what: &What) -> Option<&ReferralNotice> {
    match what {
        What::ReferralChanged(notice) => Some(notice),
        _ => None,
    }
}

/// The mail. It concerns the patient, and goes when they go.
pub fn letter(notice: &ReferralNotice, provider: &Email) -> Draft {
    let what = match notice.status {
        ReferralStatus::Requested => "was made to you, and waits for your answer",
        ReferralStatus::Accepted => "of yours was accepted",
        ReferralStatus::Declined => "of yours was declined",
        ReferralStatus::Booked => "of yours was booked",
        ReferralStatus::Completed => "of yours is completed",
        ReferralStatus::Expired => "of yours has expired",
    };
    let subject = match notice.status {
        ReferralStatus::Requested => "A referral to you",
        _ => "What came of a referral of yours",
    };
    Draft {
        channel: Channel::Email,
        content: Content {
            to: provider.to_string(),
            subject: Some(subject.to_owned()),
            body: format!("The referral {} {what}.\nPlease look at it here.\n", notice.referral_id),
            critical: false,
            invitation: None,
        },
        patient: Some(notice.patient_id.clone()),
    }
}
