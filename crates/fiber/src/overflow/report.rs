//! The text of a report, built without allocating.

use core::fmt;

/// The most that a report holds; what is beyond is cut off.
const CAPACITY: usize = 2048;

/// Collects the text of an overflow report. Async-signal-safe.
///
/// Text can be added by [`Report::text`] and [`Report::number`], or by `write!`, as long as the
/// arguments' formatting neither allocates nor locks: integers and strings do not. What does not
/// fit is cut off.
pub struct Report {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Report {
    pub(crate) const fn new() -> Report {
        Report {
            bytes: [0; CAPACITY],
            length: 0,
        }
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) {
        let room = &mut self.bytes[self.length..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.length += count;
    }

    /// Adds a number in decimal notation.
    pub fn number(&mut self, number: usize) {
        let mut digits = [0_u8; 20];
        let mut first = digits.len();
        let mut rest = number;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        // Digits are ASCII.
        self.text(str::from_utf8(&digits[first..]).unwrap_or("?"));
    }

    /// Writes the report to standard error.
    pub(crate) fn print(&self) {
        let mut rest = &self.bytes[..self.length];
        while !rest.is_empty() {
            // SAFETY: the bytes may be read.
            let count = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(count) {
                Ok(count) if count > 0 => rest = rest.get(count..).unwrap_or_default(),
                // There is nobody to tell that telling failed.
                _ => return,
            }
        }
    }
}

impl fmt::Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Report")
            .field(&String::from_utf8_lossy(&self.bytes[..self.length]))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::*;

    fn text_of(report: &Report) -> &str {
        str::from_utf8(&report.bytes[..report.length]).expect("the report is text")
    }

    #[test]
    fn numbers_are_decimal() {
        let mut report = Report::new();
        report.number(0);
        report.text(" ");
        report.number(1_048_576);
        report.text(" ");
        report.number(usize::MAX);
        assert_eq!(text_of(&report), format!("0 1048576 {}", usize::MAX));
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        let mut report = Report::new();
        for _ in 0..CAPACITY {
            write!(report, "abc").expect("a report takes anything");
        }
        assert_eq!(report.length, CAPACITY);
        assert!(text_of(&report).starts_with("abcabc"));
    }
}
