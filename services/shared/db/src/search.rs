//! The search index: sealed rows found by the terms that stand in it, as keyed hashes.
//!
//! A term is a field and a normalised value. Which terms a row has, and which a search asks for, is the service's to say; so is the query,
//! which joins `search_term` with the service's own table.
//!
//! Names are no secret, and neither is how frequent each is: whoever counts equal hashes reads them. So rows are spread over
//! [`CHESTS`] chests, and a term has another token in each. A search asks for the tokens of all chests, in one text
//! that the statement takes apart ([`search_tokens`]); what else it asks for is compared once a row is opened. ADR 24.

use std::ops::RangeInclusive;

use contracts::field::normalised_words;
use contracts::problem::Faults;
use data_encoding::BASE64URL_NOPAD;

use crate::vault::CHESTS;
use crate::{Db, Error, Tx, on, sql};

/// A search may have so many words.
const WORDS_MAX: usize = 6;
/// The beginnings of words that are found: so many letters long.
const PREFIX_CHARS: RangeInclusive<usize> = 3..=16;
/// A statement puts so many tokens, 32 times 32.
const TOKENS_MAX: usize = 1024;

/// Something that a row is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The field's name in the index.
    pub field: &'static str,
    /// The value as it is compared.
    pub value: String,
    /// Hardly two rows share a value: it stands under one token, whatever the row's chest.
    is_unique: bool,
}

impl Term {
    /// A field and a value, normalised.
    pub fn new(field: &'static str, value: impl Into<String>) -> Self {
        Self { field, value: value.into(), is_unique: false }
    }

    /// The same of a field that has a value of its own in nearly every row.
    pub fn unique(field: &'static str, value: impl Into<String>) -> Self {
        Self { field, value: value.into(), is_unique: true }
    }

    /// The terms by which a text is found: its words and their beginnings of three letters or more.
    pub fn of_words(field: &'static str, text: &str) -> Vec<Self> {
        let mut terms = Vec::new();
        for word in normalised_words(text) {
            let length = word.chars().count();
            let beginnings = PREFIX_CHARS.filter(|chars| *chars < length);
            terms.extend(
                beginnings.map(|chars| Self::new(field, word.chars().take(chars).collect::<String>())),
            );
            terms.push(Self::new(field, word));
        }
        terms
    }

    /// The terms that a search for words asks for: each a whole word or a beginning. With none, or too many, `field` is at fault.
    pub fn sought_words(field: &'static str, text: &str, faults: &mut Faults) -> Vec<Self> {
        let words = normalised_words(text);
        if words.is_empty() || words.len() > WORDS_MAX {
            faults.add(field, format_args!("must have 1 to {WORDS_MAX} words"));
            return Vec::new();
        }
        words.into_iter().map(|word| Self::new(field, word)).collect()
    }

    /// What stands for a value that is too frequent to be a term, in terms of a word beside it: both together are rare. Any beginning of the
    /// word that is found has the same one.
    #[must_use]
    pub fn together(&self, field: &'static str, value: &str) -> Self {
        let beginning: String = self.value.chars().take(*PREFIX_CHARS.start()).collect();
        Self::new(field, format!("{beginning} {value}"))
    }

    fn token(&self, db: &Db, chest: u16) -> Result<String, Error> {
        let chest = (!self.is_unique).then_some(chest);
        Ok(BASE64URL_NOPAD.encode(&db.vault().token(self.field, &self.value, chest)?))
    }
}

/// Makes these, and no others, the terms by which `owner` is found.
pub async fn search_terms_put(tx: &mut Tx, db: &Db, owner: &str, mut terms: Vec<Term>) -> Result<(), Error> {
    search_terms_clear(tx, owner).await?;
    terms.sort();
    terms.dedup();
    let chest = db.vault().chest(owner)?;
    for terms in terms.chunks(TOKENS_MAX) {
        let tokens = terms.iter().map(|term| term.token(db, chest)).collect::<Result<String, _>>()?;
        // Taken apart in two steps: to cut from the whole text for each would be to read it a thousand times.
        on!(tx, |conn| {
            sqlx::query(sql!(
            "with recursive number (n) as (select 0 union all select n + 1 from number where n < 31), \
             part (tokens) as materialized (select substr($1, 512 * n + 1, 512) from number) \
             insert into search_term (token, owner) \
             select substr(tokens, 16 * n + 1, 16), $2 from part cross join number where 16 * n < length(tokens)"
        ))
        .bind(&tokens)
        .bind(owner)
        .execute(conn)
        .await
        .map(drop)
        })?;
    }
    Ok(())
}

/// Makes `owner` be found no more.
pub async fn search_terms_clear(tx: &mut Tx, owner: &str) -> Result<(), Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from search_term where owner = $1"))
        .bind(owner)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// The tokens that a row must have to be found, as one text for the query to take apart: of each chest 32 characters, which are two tokens of
/// 16. `None` without any term: then there is nothing to look up.
///
/// The two are of the terms that fewest rows have: of a unique one, the longest otherwise. It is the service's to compare a row that is found
/// with all that was asked for.
pub fn search_tokens(db: &Db, terms: &[Term]) -> Result<Option<String>, Error> {
    let mut terms: Vec<_> = terms.iter().collect();
    terms.sort_by_key(|term| (!term.is_unique, std::cmp::Reverse(term.value.len())));
    let Some(first) = terms.first() else { return Ok(None) };
    if first.is_unique {
        return Ok(Some(first.token(db, 0)?.repeat(2)));
    }
    let second = terms.get(1);
    let mut tokens = String::new();
    for chest in 0..CHESTS {
        let token = first.token(db, chest)?;
        let other = second.map(|term| term.token(db, chest)).transpose()?;
        tokens.push_str(&token);
        tokens.push_str(other.as_ref().unwrap_or(&token));
    }
    Ok(Some(tokens))
}

/// Some of the rows that still stand in the index as the version before this one kept it.
pub async fn search_index_old(tx: &mut Tx, count_max: i64) -> Result<Vec<String>, Error> {
    Ok(on!(tx, |conn| sqlx::query_scalar(sql!(
        "select owner from search_index group by owner order by owner limit $1"
    ))
    .bind(count_max)
    .fetch_all(conn)
    .await)?)
}

/// Takes a row out of that.
pub async fn search_index_old_clear(tx: &mut Tx, owner: &str) -> Result<(), Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from search_index where owner = $1"))
        .bind(owner)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}
