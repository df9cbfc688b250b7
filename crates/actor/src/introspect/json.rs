//! Writing JSON: what a tree needs of RFC 8259, and no more.

use std::fmt::{self, Write};

/// Writes a text as a JSON string.
pub(crate) fn string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for char in text.chars() {
        match char {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            char if u32::from(char) < 0x20 => write!(out, "\\u{:04x}", u32::from(char))?,
            char => out.write_char(char)?,
        }
    }
    out.write_char('"')
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    #[test]
    fn what_json_reserves_is_escaped_and_the_rest_is_as_it_is() {
        let mut out = String::new();
        super::string(&mut out, "a\"b\\c\n\r\t\u{1}\u{1f} é 日 😀").unwrap();
        assert_eq!(out, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f é 日 😀\"");
    }
}
