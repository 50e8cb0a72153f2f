//! [`svg`]: counts of appointments as a picture.

use std::fmt::Write as _;

use contracts::statistics::{Counts, Group, Statistics};

/// So many groups stand in a picture; of more, the first.
const BARS_MAX: usize = 120;
const HEIGHT: u64 = 260;
const BAR: usize = 24;
const LEFT: usize = 60;
const TOP: u64 = 50;
/// What stands on what, and in which colour.
type Part = (&'static str, &'static str, fn(&Counts) -> u64);
const PARTS: [Part; 4] = [
    ("completed", "#2a7f62", |counts| counts.completed),
    ("open and under way", "#6ba3d6", |counts| counts.open + counts.under_way),
    ("no-shows", "#d1495b", |counts| counts.no_shows),
    ("cancelled", "#b8b8b8", |counts| counts.cancelled),
];

/// The report as a picture: a bar for each group, of how its appointments ended.
pub fn svg(report: &Statistics) -> String {
    let groups = &report.groups[..report.groups.len().min(BARS_MAX)];
    let most = groups.iter().map(|group| group.counts.appointments).max().unwrap_or(0).max(1);
    // Each line of the scale is at a whole number.
    let most = most.next_multiple_of(4);
    let width = (LEFT + groups.len() * BAR + 40).max(560);
    let bottom = TOP + HEIGHT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">Appointments from {} to {}</text>\n",
        bottom + 110,
        text(&report.from),
        text(&report.to)
    );
    for (at, (name, colour, _)) in PARTS.iter().enumerate() {
        let x = LEFT + at * 125;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"27\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"36\">{name}</text>",
            x + 14
        );
    }
    for quarter in 0..=4 {
        let (value, y) = (most * quarter / 4, bottom - HEIGHT * quarter / 4);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"#dddddd\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value}</text>",
            width - 20,
            LEFT - 6,
            y + 4
        );
    }
    for (at, group) in groups.iter().enumerate() {
        bar(&mut out, group, LEFT + at * BAR + 4, most);
    }
    out.push_str("</svg>\n");
    out
}

fn bar(out: &mut String, Group { key, counts }: &Group, x: usize, most: u64) {
    let (mut below, bottom) = (0, TOP + HEIGHT);
    for (name, colour, of) in PARTS {
        let value = of(counts);
        // By what stands below and above it, so that rounding leaves no gap.
        let (from, to) = (HEIGHT * below / most, HEIGHT * (below + value) / most);
        below += value;
        if to > from {
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{}\" width=\"16\" height=\"{}\" fill=\"{colour}\"><title>{}: {value} {name}</title></rect>",
                bottom - to,
                to - from,
                text(key)
            );
        }
    }
    let (at, y) = (x + 12, bottom + 10);
    let label: String = key.chars().take(16).collect();
    let _ = writeln!(
        out,
        "<text x=\"{at}\" y=\"{y}\" text-anchor=\"end\" transform=\"rotate(-60 {at} {y})\">{}</text>",
        text(&label)
    );
}

/// A text within XML.
fn text(text: &str) -> String {
    let escaped = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&apos;".to_owned(),
        c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => " ".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use contracts::statistics::StatisticsBy;

    use super::*;

    /// What stands at the lines of the scale, from below.
    fn scale(most: u64) -> Vec<u64> {
        let group = |appointments| Group {
            key: "2026-01-19".to_owned(),
            counts: Counts { appointments, open: appointments, ..Counts::default() },
        };
        let report = Statistics {
            from: "2026-01-01".to_owned(),
            to: "2026-01-31".to_owned(),
            by: StatisticsBy::Day,
            total: Counts::default(),
            groups: vec![group(most)],
        };
        let picture = svg(&report);
        let lines = picture.lines().filter(|line| line.starts_with("<line"));
        let value = |line: &str| {
            let from = line.rfind("\"end\">").unwrap() + 6;
            line[from..].trim_end_matches("</text>").parse().unwrap()
        };
        lines.map(value).collect()
    }

    #[test]
    fn the_scale_has_whole_numbers_at_even_steps() {
        assert_eq!(scale(0), [0, 1, 2, 3, 4]);
        assert_eq!(scale(1), [0, 1, 2, 3, 4]);
        assert_eq!(scale(5), [0, 2, 4, 6, 8]);
        assert_eq!(scale(100), [0, 25, 50, 75, 100]);
    }
}
