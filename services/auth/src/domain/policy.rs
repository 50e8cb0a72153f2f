//! What a password must be when it is set (NIST SP 800-63B §5.1.1.2): long enough and not easily guessed; no rules of composition.
//! Never applied at login.

use std::collections::HashSet;
use std::sync::LazyLock;

use contracts::field::BadField;
use settings::PasswordPolicy;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The longest password, characters: hashing must stay cheap.
pub const CHARS_MAX: usize = 256;

/// Common passwords of six letters or more, in lower case: the head of the list that zxcvbn ships (MIT), and some of our own field.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// The form in which a password is counted and hashed (NFKC, as SP 800-63B §5.1.1.2 has it): keyboards of different systems write the same
/// character differently, and the same password typed on another one is the same password.
pub fn normal(password: &str) -> Zeroizing<String> {
    // Its length first: a text that grows leaves copies behind.
    let length = password.nfkc().map(char::len_utf8).sum();
    let mut normal = Zeroizing::new(String::with_capacity(length));
    normal.extend(password.nfkc());
    normal
}

/// Whether a password may be set for this user.
pub fn check(policy: PasswordPolicy, password: &str, username: &str) -> Result<(), BadField> {
    let password = normal(password);
    let (length, min) = (password.chars().count(), policy.min_length as usize);
    if length < min {
        return Err(BadField::new(format!("must have at least {min} characters")));
    }
    if length > CHARS_MAX {
        return Err(BadField::new(format!("must have at most {CHARS_MAX} characters")));
    }
    let lower = password.to_lowercase();
    if !username.is_empty() && 2 * lower.replace(&username.to_lowercase(), "").chars().count() < min {
        return Err(BadField::new("must not be made of the user name"));
    }
    if policy.refuse_common && (is_common(&lower) || is_monotonous(&lower)) {
        return Err(BadField::new("is among the first that anybody would guess"));
    }
    Ok(())
}

/// On the list, or a word of the list that makes up at least half of it with nothing but digits and signs around.
fn is_common(lower: &str) -> bool {
    let word = lower.trim_matches(|c: char| !c.is_alphabetic());
    COMMON.contains(lower) || (2 * word.len() >= lower.len() && COMMON.contains(word))
}

/// One to three characters again and again, or nothing but a walk up or down the alphabet or the digits.
fn is_monotonous(lower: &str) -> bool {
    let chars: Vec<u32> = lower.chars().map(u32::from).collect();
    let few = chars.iter().collect::<HashSet<_>>().len() <= 3;
    let walk = |step: i64| {
        chars.windows(2).all(|pair| match (i64::from(pair[1]) - i64::from(pair[0]), pair) {
            (difference, _) if difference == step => true,
            // 9 is followed by 0, and 0 downwards by 9.
            (difference, [from, to]) => {
                difference == -9 * step && [*from, *to].iter().all(|c| (48..58).contains(c))
            }
            _ => false,
        })
    };
    few || walk(1) || walk(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_be_set(password: &str) -> bool {
        check(PasswordPolicy::default(), password, "johndoe").is_ok()
    }

    #[test]
    fn the_list_is_whole() {
        assert!(COMMON.len() > 1_000);
        assert!(COMMON.iter().all(|word| *word == word.to_lowercase() && word.len() >= 6));
    }

    #[test]
    fn long_and_uncommon_ones_may_be_set() {
        for good in
            ["correct horse battery staple", "päßwörter sind länger", "kX9#mQ2$vL7&", "                x1Z9"]
        {
            assert!(may_be_set(good), "{good}");
        }
    }

    #[test]
    fn what_anybody_would_guess_may_not() {
        for bad in [
            "password123",
            "Password1234",
            "PasswordPassword",
            "!Monkey12345",
            "qwerty123456",
            "aaaaaaaaaaaaaaa",
            "abababababab",
            "123456789012",
            "210987654321",
            "abcdefghijklm",
            "johndoejohndoe",
            "johndoe12345",
            "short",
            &"x1".repeat(200),
        ] {
            assert!(!may_be_set(bad), "{bad}");
        }
    }

    #[test]
    fn common_ones_pass_where_the_stack_says_so_but_short_ones_never() {
        let lenient = PasswordPolicy { min_length: 8, refuse_common: false };
        assert!(check(lenient, "password123", "johndoe").is_ok());
        assert!(check(lenient, "pass123", "johndoe").is_err());
    }

    #[test]
    fn one_character_is_one_however_a_keyboard_writes_it() {
        assert_eq!(*normal("pa\u{308}sswo\u{308}rter"), *normal("p\u{e4}ssw\u{f6}rter"));
        assert_eq!(*normal("ｐａｓｓ ﬁve"), "pass five");
        let policy = PasswordPolicy { min_length: 8, refuse_common: true };
        assert!(check(policy, "a\u{308}o\u{308}u\u{308}e\u{301}", "x").is_err(), "four characters");
    }

    #[test]
    fn length_is_counted_in_characters() {
        let policy = PasswordPolicy { min_length: 8, refuse_common: true };
        assert!(check(policy, "äöüß", "x").is_err());
        assert!(check(policy, "äöüßÄÖÜé", "x").is_ok());
    }
}
