//! The search index: sealed rows found by the terms that stand in it, as keyed hashes ([`Vault::blind`](crate::Vault::blind)).
//!
//! A term is a field and a normalised value. Which terms a row has, and which a search asks for, is the service's to say; so is the
//! query, which joins `search_index` with the service's own table and has [`TERMS_MAX`] places for tokens.

use std::ops::RangeInclusive;

use contracts::field::normalised_words;
use contracts::problem::Faults;

use crate::{Db, Error, Tx, on, sql};

/// A search may have so many terms: its statement has a place for each.
pub const TERMS_MAX: usize = 6;
/// The beginnings of words that are found: so many letters long.
const PREFIX_CHARS: RangeInclusive<usize> = 3..=16;

/// Something that a row is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The field's name in the index.
    pub field: &'static str,
    /// The value as it is compared.
    pub value: String,
}

impl Term {
    /// A field and a value, normalised.
    pub fn new(field: &'static str, value: impl Into<String>) -> Self {
        Self { field, value: value.into() }
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

    /// The terms that a search for words asks for: each a whole word or a beginning. At most `room` of them; otherwise `field` is at
    /// fault.
    pub fn sought_words(field: &'static str, text: &str, room: usize, faults: &mut Faults) -> Vec<Self> {
        let words = normalised_words(text);
        if words.is_empty() || words.len() > room {
            faults.add(field, format_args!("must have 1 to {room} words"));
            return Vec::new();
        }
        words.into_iter().map(|word| Self::new(field, word)).collect()
    }
}

/// Makes these, and no others, the terms by which `owner` is found.
pub async fn search_index_put(tx: &mut Tx, db: &Db, owner: &str, mut terms: Vec<Term>) -> Result<(), Error> {
    search_index_clear(tx, owner).await?;
    terms.sort();
    terms.dedup();
    for term in terms {
        let token = db.vault().blind(term.field, &term.value)?;
        on!(tx, |conn| sqlx::query(sql!("insert into search_index (token, owner) values ($1, $2)"))
            .bind(&token)
            .bind(owner)
            .execute(conn)
            .await
            .map(drop))?;
    }
    Ok(())
}

/// Makes `owner` be found no more.
pub async fn search_index_clear(tx: &mut Tx, owner: &str) -> Result<(), Error> {
    on!(tx, |conn| sqlx::query(sql!("delete from search_index where owner = $1"))
        .bind(owner)
        .execute(conn)
        .await
        .map(drop))?;
    Ok(())
}

/// The tokens that a row must have to be found, for the places of the query: what is not needed repeats the first, and asking twice for
/// the same is asking once. `None` without any term: then there is nothing to look up.
pub fn search_tokens(db: &Db, terms: &[Term]) -> Result<Option<[Vec<u8>; TERMS_MAX]>, Error> {
    let Some(first) = terms.first() else { return Ok(None) };
    let mut tokens = [const { Vec::new() }; TERMS_MAX];
    for (at, token) in tokens.iter_mut().enumerate() {
        let term = terms.get(at).unwrap_or(first);
        *token = db.vault().blind(term.field, &term.value)?;
    }
    Ok(Some(tokens))
}
