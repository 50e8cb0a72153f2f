//! What somebody means who writes to the clinic's number: one word, as the carriers' rules have it (CTIA, Messaging Principles §5.1.3).

/// A word with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyWord {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// Who is it?
    Help,
}

const STOP: [&str; 8] = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "REVOKE", "OPTOUT", "QUIT"];
const START: [&str; 2] = ["START", "UNSTOP"];

/// The meaning of a text, if it is one word that has one: in whatever case, with whatever blanks and marks around it. In a sentence no word has.
pub fn reply_word(text: &str) -> Option<ReplyWord> {
    let word = text.trim_matches(|it: char| !it.is_alphanumeric());
    let is_one_of = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    if is_one_of(&STOP) {
        Some(ReplyWord::Stop)
    } else if is_one_of(&START) {
        Some(ReplyWord::Start)
    } else {
        is_one_of(&["HELP"]).then_some(ReplyWord::Help)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_means_the_same_in_any_case_and_with_marks_around_it() {
        for stop in [
            "STOP",
            "stop",
            " Stop. ",
            "\"StopAll\"\n",
            "UNSUBSCRIBE",
            "cancel",
            "End!",
            "Revoke",
            "OptOut",
            "quit",
        ] {
            assert_eq!(reply_word(stop), Some(ReplyWord::Stop), "{stop}");
        }
        assert_eq!(reply_word("start"), Some(ReplyWord::Start));
        assert_eq!(reply_word("Unstop"), Some(ReplyWord::Start));
        assert_eq!(reply_word("help?"), Some(ReplyWord::Help));
    }

    #[test]
    fn a_sentence_has_no_such_meaning() {
        for other in ["", "Please cancel my appointment", "I can't stop by", "stopp", "ＳＴＯＰ"] {
            assert_eq!(reply_word(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_one_meaning_at_most(text in "\\PC{0,40}") {
            let _ = reply_word(&text);
        }
    }
}
