//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): one trace id from the gateway through every service.

use std::ops::Range;

/// Where in a `traceparent` the trace's id stands.
pub const TRACE_ID: Range<usize> = 3..35;
/// And the span's.
pub const SPAN_ID: Range<usize> = 36..52;

/// Where a request stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// A new trace, not recorded by anybody. The ids must differ from all others; they need not be secret.
    pub const fn start(trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        Self { trace_id, span_id, sampled: false }
    }

    /// The same, with the flag that says whether it is recorded.
    #[must_use]
    pub const fn sampled(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }

    /// Whether whoever sent it records it.
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Reads a `traceparent` header. `None` if it is not of the form: the trace then starts anew (§4.3).
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let well_formed =
            lower_hex(version, 2) && lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
        if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let mut context = Self { trace_id: [0; 16], span_id: [0; 8], sampled: false };
        data_encoding::HEXLOWER.decode_mut(trace.as_bytes(), &mut context.trace_id).ok()?;
        data_encoding::HEXLOWER.decode_mut(span.as_bytes(), &mut context.span_id).ok()?;
        context.sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// The same trace, with a span of our own.
    #[must_use]
    pub const fn child(&self, span_id: [u8; 8]) -> Self {
        Self { span_id, ..*self }
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.trace_id)
    }

    pub(crate) const fn ids(&self) -> (&[u8; 16], &[u8; 8]) {
        (&self.trace_id, &self.span_id)
    }

    /// The span's id.
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The `traceparent` to send on: ASCII.
    pub fn header(&self) -> [u8; 55] {
        let mut header = *b"00-................................-................-00";
        write_hex(&self.trace_id, &mut header[TRACE_ID]);
        write_hex(&self.span_id, &mut header[SPAN_ID]);
        header[54] += u8::from(self.sampled);
        header
    }
}

/// Every request has ids written, and a general encoder asks itself more than there is to do.
fn write_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, digits) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_standards_example_reads_back() {
        assert_eq!(TraceContext::parse(EXAMPLE).unwrap().header(), EXAMPLE.as_bytes());
    }

    #[test]
    fn what_is_not_of_the_form_starts_anew() {
        for bad in [
            "",
            "00",
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &format!("{EXAMPLE}-x"),
            &EXAMPLE.replacen("00", "ff", 1),
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "\\PC{0,80}") {
            let _ = TraceContext::parse(&text);
        }
    }
}
