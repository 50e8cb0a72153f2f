//! How and when somebody wishes to be written to.

use chrono::NaiveTime;
use chrono_tz::Tz;
use contracts::field::{BadField, time, time_text};
use contracts::notifications::{Channel, NotificationType as Kind};
use contracts::preferences::{LEADS_MAX, NotificationPreferences, OPT_OUTS_MAX, OptOut, QuietHours, Topic};
use contracts::problem::{Faults, Problem};
use contracts::templates::Language;
use serde::{Deserialize, Serialize};

use super::timing::{LEADS_DEFAULT, Quiet};

/// Minutes before an appointment.
const LEAD_MINUTES: std::ops::RangeInclusive<u32> = 10..=43_200;
const CHANNELS_DEFAULT: [Channel; 2] = [Channel::Email, Channel::Sms];

/// What somebody wishes: what is sealed as the row's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    language: Option<Language>,
    zone: Option<String>,
    #[serde(default)]
    channels: Vec<Channel>,
    #[serde(default)]
    opt_outs: Vec<OptOut>,
    quiet: Option<(NaiveTime, NaiveTime)>,
    leads_minutes: Option<Vec<u32>>,
}

/// What a kind of notification is about, as far as somebody may not wish it. What somebody wrote is of no topic.
fn topic(kind: Kind) -> Option<Topic> {
    match kind {
        Kind::Message => None,
        Kind::Creation | Kind::Change | Kind::Cancellation | Kind::Conflict | Kind::Waitlist => {
            Some(Topic::Change)
        }
        Kind::Reminder => Some(Topic::Reminder),
        Kind::Alert => Some(Topic::Alert),
        Kind::Billing => Some(Topic::Billing),
        Kind::Marketing => Some(Topic::Marketing),
        Kind::Security => Some(Topic::Security),
    }
}

/// What somebody opts out of who wishes no more of a kind; `None` of what they cannot opt out of by it.
pub fn opt_out_of(kind: Kind) -> Option<Topic> {
    topic(kind).filter(|_| !is_always_sent(kind))
}

/// Whether a kind is sent whatever somebody wishes: who saw their data, and what becomes of their account, people must be told (45 CFR 164.404, GDPR
/// article 34).
pub fn is_always_sent(kind: Kind) -> bool {
    kind == Kind::Security
}

impl Preference {
    /// Reads what the API takes.
    pub fn parse(wire: &NotificationPreferences) -> Result<Self, Problem> {
        let mut faults = Faults::new();
        let language = wire.language.as_deref().map(str::parse::<Language>).transpose();
        let language = faults.take("language", language);
        let zone = faults.take("timeZone", wire.time_zone.as_deref().map(zone).transpose());
        let channels = faults.take("channels", channels(&wire.channels));
        check_opt_outs(&wire.opt_outs, &mut faults);
        let quiet = match &wire.quiet_hours {
            Some(hours) => quiet(hours, &mut faults).map(Some),
            None => Some(None),
        };
        let leads = wire.reminder_lead_minutes.as_deref().map(leads).transpose();
        let leads_minutes = faults.take("reminderLeadMinutes", leads);
        let all = language.zip(zone).zip(channels).zip(quiet).zip(leads_minutes);
        faults.finish(all.map(|((((language, zone), channels), quiet), leads_minutes)| Self {
            language,
            zone,
            channels,
            opt_outs: wire.opt_outs.clone(),
            quiet,
            leads_minutes,
        }))
    }

    /// As the API shows it.
    pub fn view(&self) -> NotificationPreferences {
        NotificationPreferences {
            language: self.language.map(|language| language.as_str().to_owned()),
            time_zone: self.zone.clone(),
            channels: self.channels.clone(),
            opt_outs: self.opt_outs.clone(),
            quiet_hours: self.quiet.map(|(from, to)| QuietHours { from: time_text(from), to: time_text(to) }),
            reminder_lead_minutes: self.leads_minutes.clone(),
        }
    }

    /// In which language they read.
    pub fn language(&self) -> Language {
        self.language.unwrap_or_default()
    }

    /// How many minutes before they are reminded.
    pub fn leads_minutes(&self) -> &[u32] {
        self.leads_minutes.as_deref().unwrap_or(&LEADS_DEFAULT)
    }

    /// When they are not to be disturbed; `elsewhere` is the place of what they are told of.
    pub fn quiet(&self, elsewhere: Tz) -> Option<Quiet> {
        let zone = self.zone.as_deref().and_then(|zone| zone.parse().ok()).unwrap_or(elsewhere);
        self.quiet.map(|(from, to)| Quiet { from, to, zone })
    }

    /// Whether they wish such, by this channel.
    pub fn wishes(&self, channel: Channel, kind: Kind) -> bool {
        let concerns = |out: &OptOut| {
            out.channel.is_none_or(|it| it == channel) && (out.topic.is_none() || out.topic == topic(kind))
        };
        is_always_sent(kind) || !self.opt_outs.iter().any(concerns)
    }

    /// The same without this topic by this channel.
    #[must_use]
    pub fn without(&self, channel: Channel, topic: Topic) -> Self {
        let mut opt_outs: Vec<OptOut> = Vec::new();
        let further = OptOut { channel: Some(channel), topic: Some(topic) };
        // Of all that there are, each once, there are fewer than fit.
        for out in self.opt_outs.iter().copied().chain([further]) {
            if !opt_outs.contains(&out) {
                opt_outs.push(out);
            }
        }
        Self { opt_outs, ..self.clone() }
    }

    /// The channels by which they wish such, the first first.
    pub fn channels(&self, kind: Kind) -> impl Iterator<Item = Channel> {
        let order = if self.channels.is_empty() { &CHANNELS_DEFAULT[..] } else { &self.channels };
        order.iter().copied().filter(move |channel| self.wishes(*channel, kind))
    }
}

fn zone(text: &str) -> Result<String, BadField> {
    let known = text.parse::<Tz>().map(|zone| zone.name().to_owned());
    known.map_err(|_| BadField::new("must be an IANA time zone such as Europe/Berlin"))
}

fn channels(channels: &[Channel]) -> Result<Vec<Channel>, BadField> {
    let is_twice = |(at, channel): (usize, &Channel)| channels[..at].contains(channel);
    if channels.iter().enumerate().any(is_twice) {
        return Err(BadField::new("must name each channel once"));
    }
    Ok(channels.to_vec())
}

fn check_opt_outs(outs: &[OptOut], faults: &mut Faults) {
    if outs.len() > OPT_OUTS_MAX {
        faults.add("optOuts", format_args!("must be {OPT_OUTS_MAX} at most"));
    }
    for (at, out) in outs.iter().enumerate().take(OPT_OUTS_MAX) {
        if out.topic == Some(Topic::Security) {
            faults
                .add(format!("optOuts[{at}].type"), "must not be security: that is sent whatever is wished");
        } else if *out == OptOut::default() {
            faults.add(format!("optOuts[{at}]"), "must name a channel or a type");
        }
    }
}

fn quiet(hours: &QuietHours, faults: &mut Faults) -> Option<(NaiveTime, NaiveTime)> {
    let from = faults.take("quietHours.from", time(&hours.from));
    let to = faults.take("quietHours.to", time(&hours.to));
    let (from, to) = from.zip(to)?;
    if from == to {
        faults.add("quietHours.to", "must not be when they begin");
    }
    Some((from, to))
}

fn leads(minutes: &[u32]) -> Result<Vec<u32>, BadField> {
    if minutes.len() > LEADS_MAX || minutes.iter().any(|lead| !LEAD_MINUTES.contains(lead)) {
        return Err(BadField::new("must be five at most, of 10 to 43200 minutes"));
    }
    let mut leads = minutes.to_vec();
    leads.sort_unstable_by(|one, other| other.cmp(one));
    leads.dedup();
    Ok(leads)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Preference, Problem> {
        Preference::parse(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn without_a_word_it_is_mail_then_text_message_a_day_and_two_hours_before() {
        let none = read("{}").unwrap();
        assert_eq!(none.channels(Kind::Reminder).collect::<Vec<_>>(), CHANNELS_DEFAULT);
        assert_eq!(none.leads_minutes(), [1440, 120]);
        assert_eq!(none.view(), NotificationPreferences::default());
    }

    #[test]
    fn an_opt_out_is_of_a_channel_a_topic_or_both() {
        let outs = read(r#"{"optOuts": [{"channel": "Sms"}, {"type": "marketing"}, {"channel": "Email", "type": "reminder"}]}"#).unwrap();
        for (channel, kind, wished) in [
            (Channel::Sms, Kind::Message, false),
            (Channel::Sms, Kind::Security, true),
            (Channel::Email, Kind::Marketing, false),
            (Channel::Email, Kind::Reminder, false),
            (Channel::Push, Kind::Reminder, true),
            (Channel::Email, Kind::Message, true),
            (Channel::Email, Kind::Cancellation, true),
        ] {
            assert_eq!(outs.wishes(channel, kind), wished, "{channel:?} {kind:?}");
        }
    }

    #[test]
    fn who_opts_out_ever_again_still_has_preferences_that_can_be_read() {
        let full = r#"{"optOuts": ["#.to_owned() + &vec![r#"{"type": "marketing"}"#; 30].join(",") + "]}";
        let mut wishes = read(&full).unwrap();
        for channel in [Channel::Email, Channel::Sms, Channel::Push] {
            for kind in [Kind::Reminder, Kind::Change, Kind::Alert, Kind::Billing, Kind::Marketing] {
                let topic = opt_out_of(kind).unwrap();
                wishes = wishes.without(channel, topic).without(channel, topic);
                assert!(!wishes.wishes(channel, kind));
            }
        }
        assert_eq!(Preference::parse(&wishes.view()).unwrap(), wishes);
        assert_eq!(opt_out_of(Kind::Security).or(opt_out_of(Kind::Message)), None);
    }

    #[test]
    fn each_fault_is_told_by_name() {
        for (json, field) in [
            (r#"{"language": "tlh"}"#, "language"),
            (r#"{"timeZone": "Mars/Olympus"}"#, "timeZone"),
            (r#"{"channels": ["Sms", "Sms"]}"#, "channels"),
            (r#"{"optOuts": [{}]}"#, "optOuts[0]"),
            (r#"{"optOuts": [{"type": "security"}]}"#, "optOuts[0].type"),
            (r#"{"quietHours": {"from": "25:00", "to": "07:00"}}"#, "quietHours.from"),
            (r#"{"quietHours": {"from": "07:00", "to": "07:00"}}"#, "quietHours.to"),
            (r#"{"reminderLeadMinutes": [5]}"#, "reminderLeadMinutes"),
            (r#"{"reminderLeadMinutes": [10, 20, 30, 40, 50, 60]}"#, "reminderLeadMinutes"),
        ] {
            let refused = read(json).unwrap_err();
            assert_eq!(refused.errors.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), [field]);
        }
    }
}
