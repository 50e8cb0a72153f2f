//! The mails that tell of an emergency: to who watches over privacy, and to who treats the patient. They name the grant and who has it, and
//! not the patient: mail is read by whoever sees the screen.

use contracts::event::GlassNotice;
use contracts::field::Email;
use contracts::notifications::Channel;

use super::notification::{Content, Draft};

/// To whoever reviews it.
pub fn to_officer(notice: &GlassNotice, officer: &Email) -> Draft {
    letter(
        notice,
        officer,
        "Records opened in an emergency: please review",
        "Somebody who does not treat a patient opened their records.",
        "Please look at it in the list of open reviews, and say whether it was right.",
    )
}

/// To whoever treats the patient.
pub fn to_provider(notice: &GlassNotice, provider: &Email) -> Draft {
    letter(
        notice,
        provider,
        "Records of a patient of yours were opened in an emergency",
        "Somebody who does not treat a patient of yours opened their records.",
        "Whoever watches over privacy reviews it, and can tell you whose they were.",
    )
}

/// It concerns the patient, and goes when they go.
fn letter(notice: &GlassNotice, to: &Email, subject: &str, what: &str, then: &str) -> Draft {
    let GlassNotice { grant_id, patient_id, user_id, until, .. } = notice;
    let until = until.format("%Y-%m-%d %H:%M");
    Draft {
        channel: Channel::Email,
        content: Content {
            to: to.to_string(),
            subject: Some(subject.to_owned()),
            body: format!("{what}\nWho: {user_id}\nBy the grant: {grant_id}\nUntil: {until} UTC\n{then}\n"),
            ..Content::default()
        },
        patient: Some(patient_id.clone()),
    }
}
