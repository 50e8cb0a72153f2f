//! [`Totp`]: codes that an app makes from a secret and the time (RFC 6238), as every such app makes them: HMAC-SHA-1, six digits, half a minute.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};
use contracts::ambient::Random;
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

/// So long is a code shown, seconds.
const STEP_SECONDS: i64 = 30;
/// A secret's length, which is its hash's (RFC 4226 §4, R6).
const SECRET_BYTES: usize = 20;
/// A phone's clock may be wrong by so many steps, and a code may be typed for as long (RFC 6238 §5.2).
const SKEW_STEPS: i64 = 1;
const DIGITS: u32 = 6;

/// The secret that an app and we have in common. Never shown but to whom it is offered.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp(Zeroizing<Vec<u8>>);

impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Totp(…)")
    }
}

/// What an app shows: six digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Passcode(u32);

impl Passcode {
    /// Six digits and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_good = text.len() == DIGITS as usize && text.bytes().all(|byte| byte.is_ascii_digit());
        is_good.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.0, width = DIGITS as usize)
    }
}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcode(…)")
    }
}

impl Totp {
    /// A new secret.
    pub fn generate(random: &Random) -> Self {
        Self(Zeroizing::new(random.bytes::<SECRET_BYTES>().to_vec()))
    }

    /// One that was kept.
    pub fn kept(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// As it is kept, sealed.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// In base32, as people type it into an app.
    pub fn text(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// As apps read it from a QR code (Google Authenticator's Key URI Format, which the others follow). `issuer` and `account` are what
    /// the app shows beside the code.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let (issuer, account, secret) = (escaped(issuer), escaped(account), self.text());
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}\
             &period={STEP_SECONDS}"
        )
    }

    /// The step that an instant is in: RFC 6238's T.
    pub fn step(now: DateTime<Utc>) -> i64 {
        now.timestamp().div_euclid(STEP_SECONDS)
    }

    /// What an app shows in a step.
    pub fn code(&self, step: i64) -> Passcode {
        Passcode(self.number(step) % 10_u32.pow(DIGITS))
    }

    /// The step that a code is of, if it is one of those about now and after the one that was used last. Of two that show the same, the
    /// later: its code is used up then, whichever was meant. How long that takes says nothing of the code.
    pub fn step_of(&self, code: Passcode, now: DateTime<Utc>, last: i64) -> Option<i64> {
        let present = Self::step(now);
        let mut found = None;
        for step in present - SKEW_STEPS..=present + SKEW_STEPS {
            let is_its = verify_slices_are_equal(&self.code(step).0.to_be_bytes(), &code.0.to_be_bytes());
            if is_its.is_ok() && step > last {
                found = Some(step);
            }
        }
        found
    }

    /// RFC 4226 §5.3: 31 bits of the HMAC, from where its last four bits say.
    fn number(&self, step: i64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let mac = hmac::sign(&key, &step.to_be_bytes());
        let mac = mac.as_ref();
        let from = usize::from(mac[mac.len() - 1] & 0xf);
        let bits = mac[from..from + 4].iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        bits & 0x7fff_ffff
    }
}

/// Percent-encoded, but for RFC 3986's unreserved characters.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut done, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            done.push(char::from(byte));
        } else {
            let _ = write!(done, "%{byte:02X}");
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rfc() -> Totp {
        Totp::kept(b"12345678901234567890".to_vec())
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, which shows eight digits.
        for (seconds, eight) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = Totp::step(at(seconds));
            assert_eq!(rfc().number(step) % 100_000_000, eight, "{seconds}");
            assert_eq!(rfc().code(step).0, eight % 1_000_000, "{seconds}");
        }
    }

    #[test]
    fn codes_are_those_of_rfc_4226() {
        // Appendix D.
        let shown = (0..10).map(|step| rfc().code(step).to_string()).collect::<Vec<_>>();
        assert_eq!(
            shown,
            [
                "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
                "520489"
            ]
        );
    }

    #[test]
    fn an_app_is_told_all_that_it_needs() {
        let uri = rfc().uri("Healthcare (clinic)", "jane@roe");
        assert_eq!(
            uri,
            "otpauth://totp/Healthcare%20%28clinic%29:jane%40roe?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Healthcare%20%28clinic%29&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn six_digits_are_a_code_and_nothing_else_is() {
        assert_eq!(Passcode::parse("007081").unwrap().to_string(), "007081");
        for bad in ["", "12345", "1234567", "12345a", "+12345", "-12345", "１２３４５６", " 12345"] {
            assert!(Passcode::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn neither_secret_nor_code_is_shown_by_itself() {
        let shown = format!("{:?} {:?}", rfc(), rfc().code(0));
        assert!(!shown.contains("755224") && !shown.contains("49, 50"), "{shown}");
    }

    proptest! {
        /// Whatever the secret and the time, a code is good about its own half minute and at no other time; and once it was used, neither it
        /// nor one before it.
        #[test]
        fn a_code_is_good_about_its_time_and_once(
            secret in prop::collection::vec(any::<u8>(), 20),
            seconds in 0i64..20_000_000_000,
            off in -5i64..=5,
        ) {
            let (totp, now) = (Totp::kept(secret), at(seconds));
            let step = Totp::step(now) + off;
            let code = totp.code(step);
            let about = (Totp::step(now) - 1..=Totp::step(now) + 1).filter(|near| totp.code(*near) == code).max();
            prop_assert_eq!(about.is_some() || off.abs() > 1, true);
            prop_assert_eq!(totp.step_of(code, now, i64::MIN), about);
            if let Some(used) = about {
                prop_assert_eq!(totp.step_of(code, now, used), None);
                prop_assert_eq!(totp.step_of(code, now, used - 1), Some(used));
            }
        }

        #[test]
        fn a_code_reads_back_as_it_is_shown(secret in prop::collection::vec(any::<u8>(), 20), step in 0i64..1_000_000_000) {
            let code = Totp::kept(secret).code(step);
            prop_assert_eq!(code.to_string().len(), 6);
            prop_assert!(Passcode::parse(&code.to_string()) == Some(code));
        }

        #[test]
        fn what_an_app_is_told_is_one_uri(issuer in ".*", account in ".*") {
            let uri = rfc().uri(&issuer, &account);
            prop_assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()));
            let (label, parameters) = uri.split_once('?').unwrap();
            prop_assert_eq!((label.matches(':').count(), parameters.matches('&').count()), (2, 4));
        }
    }
}
