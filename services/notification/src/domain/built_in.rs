//! The texts that come with this service, and how dates and times are written in each language.

use chrono::{Datelike, NaiveDate};
use contracts::notifications::NotificationType as Kind;
use contracts::templates::Language;

const DAYS_EN: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAYS_DE: [&str; 7] = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"];
const DAYS_ES: [&str; 7] = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"];
const DAYS_FR: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];
const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const MONTHS_DE: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];
const MONTHS_ES: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];
const MONTHS_FR: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// A day in words (CLDR's full form).
pub fn date(date: NaiveDate, language: Language) -> String {
    let (days, months) = match language {
        Language::En => (DAYS_EN, MONTHS_EN),
        Language::De => (DAYS_DE, MONTHS_DE),
        Language::Es => (DAYS_ES, MONTHS_ES),
        Language::Fr => (DAYS_FR, MONTHS_FR),
    };
    let weekday = days[date.weekday().num_days_from_monday() as usize % days.len()];
    let month = months[date.month0() as usize % months.len()];
    let (day, year) = (date.day(), date.year());
    match language {
        Language::En => format!("{weekday}, {month} {day}, {year}"),
        Language::De => format!("{weekday}, {day}. {month} {year}"),
        Language::Es => format!("{weekday}, {day} de {month} de {year}"),
        // The first is the only one that is counted so.
        Language::Fr if day == 1 => format!("{weekday} 1er {month} {year}"),
        Language::Fr => format!("{weekday} {day} {month} {year}"),
    }
}

/// A time of day (CLDR's short form).
pub fn time(hour: u32, minute: u32, language: Language) -> String {
    match language {
        Language::En => {
            let half = if hour < 12 { "AM" } else { "PM" };
            let twelve = if hour.is_multiple_of(12) { 12 } else { hour % 12 };
            format!("{twelve}:{minute:02} {half}")
        }
        Language::Es => format!("{hour}:{minute:02}"),
        Language::De | Language::Fr => format!("{hour:02}:{minute:02}"),
    }
}

/// Subject and text; `None` of a kind that is not told by template.
pub fn template(kind: Kind, language: Language) -> Option<(&'static str, &'static str)> {
    let all = match language {
        Language::En => english(kind),
        Language::De => german(kind),
        Language::Es => spanish(kind),
        Language::Fr => french(kind),
    };
    Some(all).filter(|(subject, _)| !subject.is_empty())
}

const NONE: (&str, &str) = ("", "");

fn english(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Creation => (
            "Your appointment on {{ date }}",
            "An appointment was booked for {{ date }} at {{ time }} ({{ zone }}){% if provider %} with {{ provider }}{% endif %}.",
        ),
        Kind::Change => (
            "Your appointment was changed",
            "An appointment of yours was changed. It is now on {{ date }} at {{ time }} ({{ zone }}){% if provider %} with {{ provider }}{% endif %}.",
        ),
        Kind::Cancellation => (
            "Your appointment on {{ date }} was cancelled",
            "The appointment on {{ date }} at {{ time }} ({{ zone }}){% if provider %} with {{ provider }}{% endif %} was cancelled.",
        ),
        Kind::Reminder => (
            "Reminder: your appointment on {{ date }}",
            "You have an appointment on {{ date }} at {{ time }} ({{ zone }}){% if provider %} with {{ provider }}{% endif %}.{% if confirm %}\n\nI come: {{ confirm }}\nI cancel: {{ cancel }}{% endif %}",
        ),
        Kind::Conflict => (
            "About your appointment on {{ date }}",
            "The appointment on {{ date }} at {{ time }} ({{ zone }}){% if provider %} with {{ provider }}{% endif %} cannot take place as planned. The clinic will be in touch.",
        ),
        Kind::Waitlist => (
            "An appointment is free",
            "An appointment that you wait for is free on {{ date }} at {{ time }} ({{ zone }}){% if provider %} with {{ provider }}{% endif %}.{% if until %} It is held for you until {{ until }}.{% endif %} Please tell the clinic whether you take it.",
        ),
        _ => NONE,
    }
}

fn german(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Creation => (
            "Ihr Termin am {{ date }}",
            "Ein Termin wurde vereinbart: {{ date }}, {{ time }} Uhr ({{ zone }}){% if provider %}, bei {{ provider }}{% endif %}.",
        ),
        Kind::Change => (
            "Ihr Termin wurde geändert",
            "Ein Termin wurde geändert. Neuer Zeitpunkt: {{ date }}, {{ time }} Uhr ({{ zone }}){% if provider %}, bei {{ provider }}{% endif %}.",
        ),
        Kind::Cancellation => (
            "Ihr Termin am {{ date }} wurde abgesagt",
            "Der Termin am {{ date }} um {{ time }} Uhr ({{ zone }}){% if provider %} bei {{ provider }}{% endif %} wurde abgesagt.",
        ),
        Kind::Reminder => (
            "Erinnerung: Ihr Termin am {{ date }}",
            "Wir erinnern an Ihren Termin: {{ date }}, {{ time }} Uhr ({{ zone }}){% if provider %}, bei {{ provider }}{% endif %}.{% if confirm %}\n\nIch komme: {{ confirm }}\nIch sage ab: {{ cancel }}{% endif %}",
        ),
        Kind::Conflict => (
            "Zu Ihrem Termin am {{ date }}",
            "Der Termin am {{ date }} um {{ time }} Uhr ({{ zone }}){% if provider %} bei {{ provider }}{% endif %} kann nicht wie geplant stattfinden. Die Praxis meldet sich.",
        ),
        Kind::Waitlist => (
            "Ein Termin ist frei",
            "Ein Termin, auf den Sie warten, ist frei: {{ date }}, {{ time }} Uhr ({{ zone }}){% if provider %}, bei {{ provider }}{% endif %}.{% if until %} Er ist bis {{ until }} Uhr für Sie reserviert.{% endif %} Bitte sagen Sie der Praxis, ob Sie ihn nehmen.",
        ),
        _ => NONE,
    }
}

fn spanish(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Creation => (
            "Su cita del {{ date }}",
            "Se ha reservado una cita: {{ date }}, {{ time }} h ({{ zone }}){% if provider %}, con {{ provider }}{% endif %}.",
        ),
        Kind::Change => (
            "Su cita ha cambiado",
            "Una cita ha cambiado. Ahora es: {{ date }}, {{ time }} h ({{ zone }}){% if provider %}, con {{ provider }}{% endif %}.",
        ),
        Kind::Cancellation => (
            "Su cita del {{ date }} se ha cancelado",
            "La cita del {{ date }}, {{ time }} h ({{ zone }}){% if provider %}, con {{ provider }}{% endif %}, se ha cancelado.",
        ),
        Kind::Reminder => (
            "Recordatorio: su cita del {{ date }}",
            "Le recordamos su cita: {{ date }}, {{ time }} h ({{ zone }}){% if provider %}, con {{ provider }}{% endif %}.{% if confirm %}\n\nConfirmo: {{ confirm }}\nCancelo: {{ cancel }}{% endif %}",
        ),
        Kind::Conflict => (
            "Sobre su cita del {{ date }}",
            "La cita del {{ date }}, {{ time }} h ({{ zone }}){% if provider %}, con {{ provider }}{% endif %}, no puede tener lugar como estaba previsto. La clínica se pondrá en contacto.",
        ),
        Kind::Waitlist => (
            "Hay una cita libre",
            "Una cita que usted espera está libre: {{ date }}, {{ time }} h ({{ zone }}){% if provider %}, con {{ provider }}{% endif %}.{% if until %} Se la reservamos hasta las {{ until }} h.{% endif %} Diga a la clínica si la acepta.",
        ),
        _ => NONE,
    }
}

fn french(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Creation => (
            "Votre rendez-vous du {{ date }}",
            "Un rendez-vous a été pris : {{ date }} à {{ time }} ({{ zone }}){% if provider %} avec {{ provider }}{% endif %}.",
        ),
        Kind::Change => (
            "Votre rendez-vous a été modifié",
            "Un rendez-vous a été modifié. Il a lieu désormais : {{ date }} à {{ time }} ({{ zone }}){% if provider %} avec {{ provider }}{% endif %}.",
        ),
        Kind::Cancellation => (
            "Votre rendez-vous du {{ date }} est annulé",
            "Le rendez-vous du {{ date }} à {{ time }} ({{ zone }}){% if provider %} avec {{ provider }}{% endif %} est annulé.",
        ),
        Kind::Reminder => (
            "Rappel : votre rendez-vous du {{ date }}",
            "Nous vous rappelons votre rendez-vous : {{ date }} à {{ time }} ({{ zone }}){% if provider %} avec {{ provider }}{% endif %}.{% if confirm %}\n\nJe viens : {{ confirm }}\nJ’annule : {{ cancel }}{% endif %}",
        ),
        Kind::Conflict => (
            "Au sujet de votre rendez-vous du {{ date }}",
            "Le rendez-vous du {{ date }} à {{ time }} ({{ zone }}){% if provider %} avec {{ provider }}{% endif %} ne peut avoir lieu comme prévu. Le cabinet vous contactera.",
        ),
        Kind::Waitlist => (
            "Un rendez-vous est libre",
            "Un rendez-vous que vous attendez est libre : {{ date }} à {{ time }} ({{ zone }}){% if provider %} avec {{ provider }}{% endif %}.{% if until %} Il vous est réservé jusqu’à {{ until }}.{% endif %} Dites au cabinet si vous le prenez.",
        ),
        _ => NONE,
    }
}
