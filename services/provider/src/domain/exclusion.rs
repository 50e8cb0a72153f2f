//! The list of excluded individuals and entities (LEIE) as the OIG publishes it: comma-separated values with a line of column names, and who
//! of it somebody here may be.
//!
//! Columns are found by their names (<https://oig.hhs.gov/exclusions/files/leie_record_layout.pdf>), so that one that is added is no matter.

use std::collections::BTreeMap;

use contracts::exclusions::{ExclusionEntry, ROWS_MAX};
use contracts::field::normalised_words;

/// Longer than any that was published.
const CELL_CHARS_MAX: usize = 300;
/// Words of a provider's name that are put together to first and last names.
const WORDS_MAX: usize = 12;
const NO_NPI: &str = "0000000000";
const NO_DATE: &str = "00000000";

/// Why a text is no such list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadList {
    /// A column is missing.
    #[error("must have the column {0} in its first line")]
    Column(&'static str),
    /// A row has another number of cells.
    #[error("must have as many cells in each row as columns: row {0} has not")]
    Cells(usize),
    /// A quotation mark that nothing closes, or where none can be.
    #[error("has a quotation mark out of place in row {0}")]
    Quote(usize),
    /// A cell is too long, or has characters that no list has.
    #[error("has a cell that is too long, or has control characters, in row {0}")]
    Cell(usize),
    /// Too many rows.
    #[error("must have at most {ROWS_MAX} rows in a part")]
    Rows,
}

/// Who is excluded still, of a part of the list.
pub fn parse(text: &str) -> Result<Vec<ExclusionEntry>, BadList> {
    let mut rows = rows(text.strip_prefix('\u{FEFF}').unwrap_or(text))?.into_iter();
    let header: Vec<_> = rows.next().unwrap_or_default();
    let named: BTreeMap<_, _> =
        header.iter().enumerate().map(|(at, name)| (name.trim().to_ascii_uppercase(), at)).collect();
    let column = |name: &'static str| named.get(name).copied().ok_or(BadList::Column(name));
    let (last, first, middle) = (column("LASTNAME")?, column("FIRSTNAME")?, column("MIDNAME")?);
    let (business, specialty, npi) = (column("BUSNAME")?, column("SPECIALTY")?, column("NPI")?);
    let (dob, state, kind) = (column("DOB")?, column("STATE")?, column("EXCLTYPE")?);
    let (since, back) = (column("EXCLDATE")?, column("REINDATE")?);
    let mut entries = Vec::new();
    for (at, row) in rows.enumerate() {
        if row.len() != header.len() {
            return Err(BadList::Cells(at + 2));
        }
        let cell = |at: usize| row[at].trim().to_owned();
        if !matches!(row[back].trim(), "" | NO_DATE) {
            continue;
        }
        entries.push(ExclusionEntry {
            last_name: cell(last),
            first_name: cell(first),
            middle_name: cell(middle),
            business: cell(business),
            specialty: cell(specialty),
            npi: Some(cell(npi)).filter(|npi| !npi.is_empty() && npi != NO_NPI),
            dob: cell(dob),
            state: cell(state),
            exclusion_type: cell(kind),
            excluded_on: cell(since),
        });
    }
    Ok(entries)
}

/// The cells of each row (RFC 4180). Empty lines are passed over.
fn rows(text: &str) -> Result<Vec<Vec<String>>, BadList> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    // Whether a cell is within quotation marks, and whether it was.
    let (mut is_quoted, mut was_quoted) = (false, false);
    let mut chars = text.chars().peekable();
    loop {
        let number = rows.len() + 1;
        let next = chars.next();
        match next {
            None if is_quoted => return Err(BadList::Quote(number)),
            Some('"') if is_quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            Some('"') if is_quoted => (is_quoted, was_quoted) = (false, true),
            Some('"') if cell.is_empty() && !was_quoted => is_quoted = true,
            Some('"') => return Err(BadList::Quote(number)),
            Some(',') if !is_quoted => {
                row.push(std::mem::take(&mut cell));
                was_quoted = false;
            }
            Some('\r') if !is_quoted && chars.peek() == Some(&'\n') => {}
            None | Some('\n') if !is_quoted => {
                let is_empty = row.is_empty() && cell.is_empty() && !was_quoted;
                row.push(std::mem::take(&mut cell));
                was_quoted = false;
                let row = std::mem::take(&mut row);
                if !is_empty {
                    rows.push(row);
                }
                if rows.len() > ROWS_MAX + 1 {
                    return Err(BadList::Rows);
                }
                if next.is_none() {
                    return Ok(rows);
                }
            }
            Some(c) if c.is_control() || cell.len() >= CELL_CHARS_MAX => return Err(BadList::Cell(number)),
            Some(_) if was_quoted => return Err(BadList::Quote(number)),
            Some(c) => cell.push(c),
            None => return Ok(rows),
        }
    }
}

/// What somebody is found by: the first word of their first name and the last of their last. `None`: the entry names no person.
pub fn name_of(entry: &ExclusionEntry) -> Option<String> {
    let first = normalised_words(&entry.first_name).into_iter().next()?;
    let last = normalised_words(&entry.last_name).pop()?;
    Some(format!("{first} {last}"))
}

/// By what a provider would be found whose name is this, whichever of its words is the first name and which the last.
pub fn names_of(name: &str) -> Vec<String> {
    let mut words = normalised_words(name);
    words.truncate(WORDS_MAX);
    let pairs = words.iter().enumerate().flat_map(|(at, first)| {
        let others = words.iter().enumerate().filter(move |(other, _)| *other != at);
        others.map(move |(_, last)| format!("{first} {last}"))
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs.dedup();
    pairs
}

/// An entry in one line, as what its id is made of: the same in each list that has it.
pub fn line_of(entry: &ExclusionEntry) -> String {
    let ExclusionEntry { last_name, first_name, middle_name, business, dob, state, excluded_on, .. } = entry;
    let npi = entry.npi.as_deref().unwrap_or_default();
    [last_name, first_name, middle_name, business, npi, dob, state, excluded_on].join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "LASTNAME,FIRSTNAME,MIDNAME,BUSNAME,GENERAL,SPECIALTY,UPIN,NPI,DOB,ADDRESS,CITY,STATE,ZIP,EXCLTYPE,EXCLDATE,REINDATE,WAIVERDATE,WVRSTATE";

    fn list(rows: &str) -> String {
        format!("{HEADER}\r\n{rows}")
    }

    fn quoted(cell: &str) -> String {
        format!("\"{}\"", cell.replace('"', "\"\""))
    }

    #[test]
    fn the_list_as_it_is_published_is_read() {
        let text = list(
            "DOE,JANE,Q,,PHYSICIAN (MD, DO,CARDIOLOGY,,1234567893,19600102,1 ELM ST,NEW YORK,NY,10001,1128a1,20200120,00000000,00000000,\r\n",
        );
        // An unquoted comma makes a cell too many, and is not guessed at.
        assert_eq!(parse(&text), Err(BadList::Cells(2)));
        let text = text.replace("PHYSICIAN (MD, DO", "\"PHYSICIAN (MD, DO)\"");
        let entries = parse(&text).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].npi.as_deref(), name_of(&entries[0]).as_deref()),
            (Some("1234567893"), Some("jane doe"))
        );
    }

    #[test]
    fn who_is_reinstated_is_excluded_no_more_and_no_npi_is_none() {
        let row = |npi: &str, back: &str| {
            format!(",,,\"ACME, INC\",,,,{npi},,,,NY,,1128b7,20200120,{back},00000000,\n")
        };
        let entries =
            parse(&list(&(row("0000000000", "00000000") + &row("1234567893", "20240101")))).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].npi.clone(), name_of(&entries[0]), entries[0].business.as_str()),
            (None, None, "ACME, INC")
        );
    }

    #[test]
    fn what_is_no_such_list_is_refused_by_row() {
        assert_eq!(parse(""), Err(BadList::Column("LASTNAME")));
        assert_eq!(parse("LASTNAME,FIRSTNAME\n"), Err(BadList::Column("MIDNAME")));
        assert_eq!(parse(&list("a,b\n")), Err(BadList::Cells(2)));
        assert_eq!(parse(&list("\"a")), Err(BadList::Quote(2)));
        assert_eq!(parse(&list("\"a\"b,")), Err(BadList::Quote(2)));
        assert_eq!(parse(&list("a\u{0}b,")), Err(BadList::Cell(2)));
        assert_eq!(parse(&list(&"x".repeat(400))), Err(BadList::Cell(2)));
    }

    #[test]
    fn a_name_is_found_whichever_way_it_is_written() {
        let entry = ExclusionEntry {
            last_name: "VAN DER BERG".to_owned(),
            first_name: "JAN PIETER".to_owned(),
            ..ExclusionEntry::default()
        };
        let name = name_of(&entry).unwrap();
        for written in ["Dr. Jan van der Berg", "van der Berg, Jan", "Berg Jan"] {
            assert!(names_of(written).contains(&name), "{written}");
        }
        assert!(!names_of("Dr. Jane Berg").contains(&name));
    }

    proptest! {
        #[test]
        fn cells_read_back_as_they_were_written(rows in proptest::collection::vec(proptest::collection::vec("[a-zA-Z,\" ;']{0,12}", 18), 0..6)) {
            let text: String = rows.iter().map(|row| row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n").collect();
            let read = super::rows(&text).unwrap();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}|[A-Z,\"\r\n]{0,80}") {
            let _ = parse(&text);
            let _ = parse(&list(&text));
            let _ = names_of(&text);
        }
    }
}
