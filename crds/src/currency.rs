//! [`Currency`]: an ISO 4217 code that the stack can count in.

use std::fmt;
use std::str::FromStr;

/// A currency in use, with two decimals: its ISO 4217 code.
///
/// The API shows money with two decimals and keeps it in hundredths, so currencies without (JPY) or with three (KWD) are refused, and
/// so are funds, metals and codes that were withdrawn (ISO 4217 list one, as of 2026).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency(&'static str);

#[rustfmt::skip]
const TWO_DECIMALS: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BMD", "BND", "BOB", "BRL", "BSD", "BTN",
    "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP", "CRC", "CUP", "CVE", "CZK", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB",
    "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IRR",
    "JMD", "KES", "KGS", "KHR", "KPW", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT",
    "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP",
    "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN",
    "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "VED", "VES", "WST",
    "XCD", "XCG", "YER", "ZAR", "ZMW", "ZWG",
];

#[rustfmt::skip]
const OTHER_DECIMALS: &[&str] = &[
    "BHD", "BIF", "CLP", "DJF", "GNF", "IQD", "ISK", "JOD", "JPY", "KMF", "KRW", "KWD", "LYD", "OMR", "PYG", "RWF", "TND", "UGX",
    "VND", "VUV", "XAF", "XOF", "XPF",
];

impl Currency {
    /// The code, such as `EUR`.
    pub const fn code(self) -> &'static str {
        self.0
    }
}

/// Why a text is no [`Currency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACurrency {
    /// It has not two decimals.
    #[error("has not two decimals, which is what bills are written in; choose one that has")]
    OtherDecimals,
    /// It is not in use.
    #[error("is no currency in use; write its ISO 4217 code, such as EUR")]
    Unknown,
}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        match TWO_DECIMALS.iter().find(|code| **code == text) {
            Some(code) => Ok(Self(code)),
            None if OTHER_DECIMALS.contains(&text) => Err(NotACurrency::OtherDecimals),
            None => Err(NotACurrency::Unknown),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_currencies_with_two_decimals_are_counted_in() {
        assert_eq!("EUR".parse::<Currency>().map(Currency::code), Ok("EUR"));
        assert_eq!("JPY".parse::<Currency>(), Err(NotACurrency::OtherDecimals));
        for withdrawn_or_no_money in ["DEM", "BGN", "XAU", "eur", "", "EURO"] {
            assert_eq!(withdrawn_or_no_money.parse::<Currency>(), Err(NotACurrency::Unknown));
        }
    }

    #[test]
    fn the_list_is_sorted_and_has_no_code_twice() {
        assert!(TWO_DECIMALS.is_sorted_by(|a, b| a < b));
        assert!(OTHER_DECIMALS.is_sorted_by(|a, b| a < b));
    }
}
