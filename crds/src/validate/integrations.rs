//! `spec.integrations`.

use settings::{MailReportSettings, MailSettings};

use super::bounds;
use crate::fault::Faults;
use crate::spec::{Calendar, IntegrationsSpec, Span};

const PATH: &str = "spec.integrations";
const SUBADDRESSED_MAX: usize = 18;

pub(super) fn check(spec: &IntegrationsSpec, faults: &mut Faults) {
    if let Some(mail) = &spec.mail {
        check_mail(&format!("{PATH}.mail"), mail, faults);
    }
    for (index, mail) in spec.mail_fallback.iter().enumerate() {
        check_mail(&format!("{PATH}.mailFallback[{index}]"), mail, faults);
    }
    for (name, first, others) in [
        ("mail", spec.mail.is_some(), spec.mail_fallback.is_empty()),
        ("sms", spec.sms.is_some(), spec.sms_fallback.is_empty()),
    ] {
        if !first && !others {
            faults.add(format!("{PATH}.{name}Fallback"), format!("must be left out without {name}"));
        }
    }
    if spec.public_url.is_none() && !spec.link_hosts.is_empty() {
        faults.add(format!("{PATH}.linkHosts"), "must be left out without publicUrl");
    }
    if let Some(reports) = &spec.mail_reports {
        check_reports(reports, spec.mail.is_some(), faults);
    }
    if spec.push.as_ref().is_some_and(|push| push.fcm.is_none() && push.web_push.is_none()) {
        faults.add(format!("{PATH}.push"), "must have fcm, webPush or both");
    }
    for (index, calendar) in spec.calendars.iter().enumerate() {
        check_calendar(&format!("{PATH}.calendars[{index}]"), calendar, faults);
    }
    if let Some(ehr) = &spec.ehr {
        check_poll_interval(&format!("{PATH}.ehr"), ehr.poll_interval, faults);
    }
}

fn check_mail(path: &str, mail: &MailSettings, faults: &mut Faults) {
    if mail.username.is_some() != mail.password.is_some() {
        faults.add(path, "must have both username and password, or neither");
    }
    let address = match mail.from.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => &mail.from,
    };
    let well_formed = address.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && !address.contains(char::is_whitespace)
    });
    if !well_formed || mail.from.contains(char::is_control) {
        faults.add(format!("{path}.from"), "must be a mailbox such as Clinic <no-reply@clinic.example>");
    }
    if let Some(dkim) = &mail.dkim {
        let (_, domain) = address.rsplit_once('@').unwrap_or_default();
        let (domain, signed) = (domain.to_ascii_lowercase(), dkim.domain.to_ascii_lowercase());
        // A signature of another domain says nothing of the sender (RFC 7489 §3.1.1).
        if domain != signed && !domain.ends_with(&format!(".{signed}")) {
            faults.add(format!("{path}.dkim.domain"), "must be the domain of from, or one above it");
        }
    }
}

fn check_reports(reports: &MailReportSettings, is_mail_sent: bool, faults: &mut Faults) {
    let path = format!("{PATH}.mailReports");
    if !is_mail_sent {
        faults.add(&path, "must be left out without mail");
    }
    let name = reports.address.split('@').next().unwrap_or_default();
    // RFC 5321 §4.5.3.1.1: 64 octets before the @, of which + and what names a mail take 46.
    if reports.subaddresses && name.len() > SUBADDRESSED_MAX {
        faults.add(
            format!("{path}.address"),
            format!("must have at most {SUBADDRESSED_MAX} characters before the @ if subaddresses is set"),
        );
    }
}

fn check_calendar(path: &str, calendar: &Calendar, faults: &mut Faults) {
    if calendar.caldav.is_some() == calendar.google.is_some() {
        faults.add(path, "must have exactly one of caldav and google");
    }
    check_poll_interval(path, calendar.poll_interval, faults);
}

fn check_poll_interval(path: &str, interval: Span, faults: &mut Faults) {
    bounds::span(
        format!("{path}.pollInterval"),
        interval,
        Span::from_secs(10),
        Span::from_secs(86_400),
        faults,
    );
}
