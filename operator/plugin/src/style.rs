//! [`Style`]: colour, for terminals only.

use std::io::IsTerminal;

/// Colours text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// For what is printed: colour if it goes to a terminal and nobody asked for none (<https://no-color.org>).
    #[expect(
        clippy::disallowed_methods,
        reason = "NO_COLOR is the user's wish, and this is the program's edge"
    )]
    pub(crate) fn of_stdout() -> Self {
        let refused = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        Self { colour: std::io::stdout().is_terminal() && !refused }
    }

    /// No colour.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    /// Always.
    #[cfg(test)]
    pub(crate) const fn coloured() -> Self {
        Self { colour: true }
    }

    /// It is well.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// It is on its way.
    pub(crate) fn pending(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// It is not well.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// It matters.
    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// It matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// One of a few colours, the same for the same number.
    pub(crate) fn numbered(self, number: usize, text: &str) -> String {
        self.paint(["36", "35", "34", "33", "32"][number % 5], text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
