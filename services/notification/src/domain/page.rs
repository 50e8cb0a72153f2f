//! The pages behind the links of messages. A link's page asks, and its button does it: programs that look at every link of a mail press no buttons.

use std::fmt::Write as _;

use chrono::Timelike;
use contracts::appointment_answers::PatientsWord;
use contracts::links::HtmlPage;
use contracts::preferences::Topic;
use contracts::templates::Language;

use super::built_in;
use super::visit::Visit;

/// What a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    /// In which language.
    pub language: Language,
    /// What it is about.
    pub title: &'a str,
    /// A sentence.
    pub text: &'a str,
    /// What the button says, if there is something to do.
    pub button: Option<&'a str>,
}

impl Words<'_> {
    /// As a page. Its form goes to the page's own address.
    pub fn page(&self) -> HtmlPage {
        let (title, text) = (escaped(self.title), escaped(self.text));
        let mut page = format!(
            "<!doctype html>\n<html lang=\"{}\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n",
            self.language.as_str()
        );
        if let Some(button) = self.button {
            let _ = writeln!(
                page,
                "<form method=\"post\"><button type=\"submit\">{}</button></form>",
                escaped(button)
            );
        }
        HtmlPage(page)
    }
}

/// That what is looked for is there: for a program that does not go by itself.
pub fn elsewhere(target: &str) -> HtmlPage {
    let target = escaped(target);
    HtmlPage(format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{target}</title>\n<a href=\"{target}\">{target}</a>\n"
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// No more of this by mail: asked, or done.
pub fn unsubscribe(language: Language, topic: Topic, is_done: bool) -> HtmlPage {
    let topic = topic_words(language, topic);
    let (title, done, asked) = match language {
        Language::En => {
            ("Unsubscribe", "You get no more mails of this kind", "Get no more mails of this kind")
        }
        Language::De => (
            "Abbestellen",
            "Sie bekommen keine E-Mails dieser Art mehr",
            "Keine E-Mails dieser Art mehr bekommen",
        ),
        Language::Es => {
            ("Darse de baja", "Ya no recibirá correos de este tipo", "No recibir más correos de este tipo")
        }
        Language::Fr => (
            "Se désabonner",
            "Vous ne recevrez plus d’e-mails de ce type",
            "Ne plus recevoir d’e-mails de ce type",
        ),
    };
    let text = format!("{}: {topic}.", if is_done { done } else { asked });
    Words { language, title, text: &text, button: (!is_done).then_some(title) }.page()
}

/// That an appointment is confirmed, or called off: asked, or done.
pub fn answer(language: Language, word: PatientsWord, visit: &Visit, is_done: bool) -> HtmlPage {
    let [confirm, confirmed, cancel, cancelled] = match language {
        Language::En => [
            "Confirm the appointment",
            "The appointment is confirmed",
            "Cancel the appointment",
            "The appointment is cancelled",
        ],
        Language::De => {
            ["Termin bestätigen", "Der Termin ist bestätigt", "Termin absagen", "Der Termin ist abgesagt"]
        }
        Language::Es => {
            ["Confirmar la cita", "La cita está confirmada", "Cancelar la cita", "La cita está cancelada"]
        }
        Language::Fr => [
            "Confirmer le rendez-vous",
            "Le rendez-vous est confirmé",
            "Annuler le rendez-vous",
            "Le rendez-vous est annulé",
        ],
    };
    let (ask, done) = match word {
        PatientsWord::Confirm => (confirm, confirmed),
        PatientsWord::Cancel => (cancel, cancelled),
    };
    let local = visit.starts_at.with_timezone(&visit.place());
    let date = built_in::date(local.date_naive(), language);
    let time = built_in::time(local.hour(), local.minute(), language);
    let text = format!("{date}, {time} ({})", visit.place().name());
    let title = if is_done { done } else { ask };
    Words { language, title, text: &text, button: (!is_done).then_some(ask) }.page()
}

fn topic_words(language: Language, topic: Topic) -> &'static str {
    let [reminder, change, alert, billing, marketing] = match language {
        Language::En => {
            ["reminders of appointments", "changes of appointments", "alerts", "bills and payments", "news"]
        }
        Language::De => [
            "Erinnerungen an Termine",
            "Änderungen von Terminen",
            "Hinweise",
            "Rechnungen und Zahlungen",
            "Neuigkeiten",
        ],
        Language::Es => {
            ["recordatorios de citas", "cambios de citas", "avisos", "facturas y pagos", "novedades"]
        }
        Language::Fr => [
            "rappels de rendez-vous",
            "changements de rendez-vous",
            "alertes",
            "factures et paiements",
            "actualités",
        ],
    };
    match topic {
        Topic::Reminder => reminder,
        Topic::Change => change,
        // There is no way to opt out of security: nothing of it is unsubscribed from.
        Topic::Alert | Topic::Security => alert,
        Topic::Billing => billing,
        Topic::Marketing => marketing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_has_a_button_and_what_is_done_has_none() {
        for language in [Language::En, Language::De, Language::Es, Language::Fr] {
            let (asked, done) = (
                unsubscribe(language, Topic::Reminder, false).0,
                unsubscribe(language, Topic::Reminder, true).0,
            );
            assert!(asked.contains("<form method=\"post\">") && !done.contains("<form"), "{asked} {done}");
            assert!(done.contains(topic_words(language, Topic::Reminder)));
            assert!(done.contains(&format!("lang=\"{}\"", language.as_str())));
        }
    }

    #[test]
    fn nothing_that_is_said_becomes_markup() {
        let said = "<script>&\"";
        let page = Words { language: Language::En, title: said, text: said, button: Some(said) }.page();
        assert!(!page.0.contains("<script>") && page.0.contains("&lt;script&gt;&amp;&quot;"), "{}", page.0);
    }
}
