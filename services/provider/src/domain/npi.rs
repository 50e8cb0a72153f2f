//! The check digit of a National Provider Identifier.
//!
//! The Luhn formula of ISO/IEC 7812-1 over the ten digits with 80840 before them, which stands for health (80) in the United States (840):
//! CMS, "Requirements for National Provider Identifier (NPI) and NPI Check Digit".

use contracts::field::BadField;

/// What 80840 adds to the sum.
const PREFIX_SUM: u32 = 24;
const DIGITS: usize = 10;

/// Reads one.
pub fn parse(text: &str) -> Result<String, BadField> {
    let bad = || {
        BadField::new(
            "must be an NPI: ten digits, beginning with 1 or 2, of which the last checks the others",
        )
    };
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(10)).collect();
    let digits = digits.filter(|digits| digits.len() == DIGITS).ok_or_else(bad)?;
    let is_good = matches!(digits[0], 1 | 2) && sum(&digits).is_multiple_of(10);
    is_good.then(|| text.to_owned()).ok_or_else(bad)
}

/// Every second digit from the right, the check digit not counted, is doubled, and the digits of that are added.
fn sum(digits: &[u32]) -> u32 {
    let each = digits.iter().rev().enumerate().map(|(at, digit)| match at % 2 {
        1 => 2 * digit / 10 + 2 * digit % 10,
        _ => *digit,
    });
    PREFIX_SUM + each.sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The formula over all fifteen digits, as the standard has it.
    fn is_good_by_the_standard(npi: &str) -> bool {
        let all = format!("80840{npi}");
        let sum: u32 = all
            .bytes()
            .rev()
            .enumerate()
            .map(|(at, byte)| {
                let doubled = u32::from(byte - b'0') * if at % 2 == 1 { 2 } else { 1 };
                if doubled > 9 { doubled - 9 } else { doubled }
            })
            .sum();
        sum.is_multiple_of(10)
    }

    #[test]
    fn the_example_of_cms_is_one() {
        assert_eq!(parse("1234567893").as_deref(), Ok("1234567893"));
    }

    #[test]
    fn what_is_no_npi_is_refused() {
        for text in [
            "",
            "1234567890",
            "123456789",
            "12345678931",
            "0234567893",
            "١٢٣٤٥٦٧٨٩٣",
            " 1234567893",
            "123456789X",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_check_digit_decides_as_the_standard_says(first in 1u64..=2, rest in 0u64..1_000_000_000) {
            let npi = format!("{first}{rest:09}");
            prop_assert_eq!(parse(&npi).is_ok(), is_good_by_the_standard(&npi));
        }

        #[test]
        fn one_wrong_digit_and_any_two_swapped_but_09_are_found(first in 1u64..=2, rest in 0u64..100_000_000, at in 0usize..10, by in 1u32..10) {
            let body = format!("{first}{rest:08}");
            let npi = (0..10).map(|check| format!("{body}{check}")).find(|npi| parse(npi).is_ok()).unwrap();
            let mut wrong: Vec<u32> = npi.chars().filter_map(|c| c.to_digit(10)).collect();
            wrong[at] = (wrong[at] + by) % 10;
            let wrong: String = wrong.iter().map(ToString::to_string).collect();
            prop_assert!(parse(&wrong).is_err());
            if at < 9 {
                let mut swapped = npi.clone().into_bytes();
                swapped.swap(at, at + 1);
                let pair = (npi.as_bytes()[at], npi.as_bytes()[at + 1]);
                if pair.0 != pair.1 && !matches!(pair, (b'0', b'9') | (b'9', b'0')) {
                    prop_assert!(parse(std::str::from_utf8(&swapped).unwrap()).is_err());
                }
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
