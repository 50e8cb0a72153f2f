//! The pages behind the links of messages. A link's page asks, and its button does it: programs that look at every link of a mail press no buttons.

use chrono::Timelike;
use contracts::appointment_answers::PatientsWord;
use contracts::links::{HtmlPage, Words};
use contracts::preferences::Topic;
use contracts::templates::Language;

use super::built_in;
use super::visit::Visit;

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
    let text = when(language, visit);
    let title = if is_done { done } else { ask };
    Words { language, title, text: &text, button: (!is_done).then_some(ask) }.page()
}

/// Why a link is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over<'a> {
    /// The appointment has begun, or its time has passed.
    Begun,
    /// It was answered so already.
    Answered,
    /// It was moved, and is now as is said here.
    Moved(&'a Visit),
    /// It is not to take place any more.
    Closed,
    /// It was changed, and how is not known here yet.
    Changed,
}

/// That a link is over, and what is so instead: there is nothing to do by it. Neither whose it is nor with whom.
pub fn over(language: Language, over: Over<'_>) -> HtmlPage {
    let [title, begun, answered, moved, closed, changed, call] = match language {
        Language::En => [
            "This link is over",
            "The time of this appointment has passed.",
            "You have answered already.",
            "The appointment was moved. It is now on",
            "The appointment does not take place any more.",
            "The appointment has changed since.",
            "If anything is to be changed, please call the clinic.",
        ],
        Language::De => [
            "Dieser Link gilt nicht mehr",
            "Die Zeit dieses Termins ist vorbei.",
            "Sie haben schon geantwortet.",
            "Der Termin wurde verschoben. Er ist jetzt am",
            "Der Termin findet nicht mehr statt.",
            "Der Termin hat sich seither geändert.",
            "Wenn etwas geändert werden soll, rufen Sie bitte die Praxis an.",
        ],
        Language::Es => [
            "Este enlace ya no vale",
            "La hora de esta cita ya ha pasado.",
            "Usted ya ha respondido.",
            "La cita se ha cambiado. Ahora es el",
            "La cita ya no tendrá lugar.",
            "La cita ha cambiado desde entonces.",
            "Si hay que cambiar algo, llame a la consulta, por favor.",
        ],
        Language::Fr => [
            "Ce lien n’est plus valable",
            "L’heure de ce rendez-vous est passée.",
            "Vous avez déjà répondu.",
            "Le rendez-vous a été déplacé. Il a maintenant lieu le",
            "Le rendez-vous n’a plus lieu.",
            "Le rendez-vous a changé depuis.",
            "S’il faut changer quelque chose, veuillez appeler le cabinet.",
        ],
    };
    let what = match over {
        Over::Begun => begun.to_owned(),
        Over::Answered => answered.to_owned(),
        Over::Moved(visit) => format!("{moved} {}.", when(language, visit)),
        Over::Closed => closed.to_owned(),
        Over::Changed => changed.to_owned(),
    };
    Words { language, title, text: &format!("{what} {call}"), button: None }.page()
}

/// When an appointment is, as the language writes it, at the provider's place.
fn when(language: Language, visit: &Visit) -> String {
    let local = visit.starts_at.with_timezone(&visit.place());
    let date = built_in::date(local.date_naive(), language);
    let time = built_in::time(local.hour(), local.minute(), language);
    format!("{date}, {time} ({})", visit.place().name())
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
    fn what_is_over_says_why_and_what_to_do_and_names_nobody() {
        let visit = crate::domain::visit::tests::visit();
        let whys = [Over::Begun, Over::Answered, Over::Moved(&visit), Over::Closed, Over::Changed];
        let mut all = std::collections::BTreeSet::new();
        for language in Language::ALL {
            for why in whys {
                let page = over(language, why).0;
                assert!(
                    !page.contains("<form") && !page.contains("12345") && !page.contains("prov001"),
                    "{page}"
                );
                assert_eq!(page.contains("2026"), matches!(why, Over::Moved(_)), "{page}");
                all.insert(page);
            }
        }
        assert_eq!(all.len(), 20);
    }
}
