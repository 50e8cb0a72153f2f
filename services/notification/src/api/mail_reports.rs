//! `POST /api/notifications/callbacks/mail`: what mail servers report on mails that they took, as the clinic's own hands it on.
//!
//! That one brings a token; without it nothing is read. With it a report still is a stranger's mail: it has an effect only by a name in it that
//! nobody else can have made ([`Links::mail_name`](crate::links::Links::mail_name)), and once. The answer is the same whatever it was.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use contracts::deliveries::ReportTaken;
use contracts::id::NotificationId;
use contracts::notifications::{Channel, MailReport};
use contracts::trail;
use data_encoding::HEXLOWER;
use db::Secrets;
use http_kit::{Answer, Call};
use settings::MailReportSettings;

use super::{Api, lock_patient};
use crate::domain::delivery::{Cause, Refusal, is_no_mailbox};
use crate::domain::mail_report::{self, Report, Told};
use crate::error::Error;
use crate::store::again::{HandOver, notification_came_back, notification_turn};
use crate::store::outcome::{notification_complained, notification_delayed};
use crate::store::suppression::suppression_put;

/// A shorter token is none: it could be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// By what the clinic's mail server is known.
#[derive(Clone)]
pub(crate) struct MailServer {
    settings: MailReportSettings,
    secrets: Secrets,
}

impl MailServer {
    pub(crate) fn new(settings: MailReportSettings, secrets: Secrets) -> Self {
        Self { settings, secrets }
    }

    /// In constant time. The token is read each time, so that a new one is seen.
    fn is_caller(&self, authorization: Option<&str>) -> bool {
        let told = authorization.and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default();
        self.secrets.read_text(&self.settings.token).is_ok_and(|token| {
            token.len() >= TOKEN_CHARS_MIN
                && verify_slices_are_equal(token.as_bytes(), told.as_bytes()).is_ok()
        })
    }
}

/// Takes a report.
pub async fn take(api: Api, call: Call<MailReport>) -> Result<Answer<MailReport>, Error> {
    if !api.mail_server.as_ref().is_some_and(|server| server.is_caller(call.signature.as_deref())) {
        return Err(Error::NotFound);
    }
    let mail = &call.body.0;
    if let Some(report) = mail_report::read(mail)
        && let Some((id, turn)) = ours(&api, &report).await?
    {
        let of = HandOver { id: &id, channel: Channel::Email, turn };
        note(&api, &of, &report, mail).await?;
        // What came back goes another way.
        api.planner.wake();
    }
    Ok(Answer::new(ReportTaken { status: "Taken".to_owned() }))
}

/// Which of our mails it is about, and at which turn: the present one. What is told of a hand-over that is over is told of nothing.
async fn ours(api: &Api, report: &Report) -> Result<Option<(NotificationId, i64)>, Error> {
    let mut tx = api.db.read().await?;
    for name in &report.names {
        let id = name.notification();
        if let Some(turn) = notification_turn(&mut tx, id).await?
            && api.delivery.links().is_mail_name(name, turn)?
        {
            return Ok(Some((id.clone(), turn)));
        }
    }
    Ok(None)
}

async fn note(api: &Api, of: &HandOver<'_>, report: &Report, mail: &str) -> Result<(), Error> {
    let id = of.id;
    // From here on the audit knows who acts: whoever reports on this mail.
    trail::has_shown(format!("report:{id}"));
    let found = match api.opened(id).await {
        Err(Error::NotFound) => return Ok(()),
        found => found?,
    };
    let (patient, to) = (found.draft.patient, found.draft.content.to);
    if let Some(patient) = &patient {
        trail::concerns(patient.as_str());
    }
    let key = key(id, report, mail);
    db::retrying(&api.db, async |mut tx| {
        lock_patient(&mut tx, patient.as_ref()).await?;
        if db::inbox_accept(&mut tx, &key).await? {
            let cause = match &report.told {
                Told::Failed(code) => {
                    let refusal = refusal(code.as_deref());
                    let is_news = notification_came_back(&mut tx, &api.db, of, &refusal).await?;
                    refusal.cause.filter(|_| is_news)
                }
                Told::Delayed(code) => {
                    notification_delayed(&mut tx, of, &delay(code.as_deref())).await?;
                    None
                }
                Told::Complained => {
                    let is_news = notification_complained(&mut tx, of).await?;
                    is_news.then_some(Cause::Complaint)
                }
            };
            if let Some(cause) = cause {
                suppression_put(&mut tx, &api.db, (Channel::Email, &to), cause).await?;
            }
            tx.commit().await?;
        }
        Ok::<_, Error>(())
    })
    .await
}

/// Why it came back: by the code alone, since the text may repeat the address.
fn refusal(code: Option<&str>) -> Refusal {
    let why = match code {
        Some(code) => format!("It came back ({code})."),
        None => "It came back.".to_owned(),
    };
    let cause = code.is_some_and(is_no_mailbox).then_some(Cause::Bounce);
    Refusal { why, code: code.map(str::to_owned), cause }
}

fn delay(code: Option<&str>) -> Refusal {
    let why = "The mail server that it goes to has not taken it yet.".to_owned();
    Refusal { why, code: code.map(str::to_owned), cause: None }
}

/// By what a report is known that comes again: by what it is called, or by all that it says.
fn key(id: &NotificationId, report: &Report, mail: &str) -> String {
    let said = report.id.as_deref().unwrap_or(mail);
    let hash = digest::digest(&digest::SHA256, format!("{id}\n{said}").as_bytes());
    format!("mail:{}", HEXLOWER.encode(hash.as_ref()))
}
