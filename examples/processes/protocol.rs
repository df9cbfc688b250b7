//! What the processes say to each other: lines of a word and fields, `opened count=500 seconds=0.25`.
//!
//! A field that may contain spaces is called `text` and comes last.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use super::Outcome;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is about.
    pub word: String,
    fields: BTreeMap<String, String>,
}

impl Message {
    /// Makes one without fields.
    #[must_use]
    pub fn new(word: &str) -> Self {
        Message {
            word: word.to_owned(),
            fields: BTreeMap::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        self.fields.insert(key.to_owned(), value.to_string());
        self
    }

    /// Reads a line.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let (head, text) = match line.split_once(" text=") {
            Some((head, text)) => (head, Some(text)),
            None => (line, None),
        };
        let mut words = head.split_whitespace();
        let mut message = Message::new(words.next().unwrap_or_default());
        for field in words {
            let (key, value) = field.split_once('=').unwrap_or((field, ""));
            message = message.with(key, value);
        }
        match text {
            Some(text) => message.with("text", text.trim_end()),
            None => message,
        }
    }

    /// The text of a field.
    ///
    /// # Errors
    ///
    /// There is no such field.
    pub fn text(&self, key: &str) -> Outcome<&str> {
        match self.fields.get(key) {
            Some(value) => Ok(value),
            None => Err(format!("no field {key} in: {self}")),
        }
    }

    /// The value of a field.
    ///
    /// # Errors
    ///
    /// There is no such field, or it is something else.
    pub fn get<T: FromStr>(&self, key: &str) -> Outcome<T> {
        let value = self.text(key)?;
        value
            .parse()
            .map_err(|_| format!("field {key} is not as expected in: {self}"))
    }

    /// Sends the line to the coordinator.
    pub fn say(&self) {
        // A coordinator that is gone takes this process with it: there is nobody left to tell.
        println!("{self}");
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)?;
        let is_text = |key: &&String| *key == "text";
        for (key, value) in self.fields.iter().filter(|(key, _)| !is_text(key)) {
            write!(f, " {key}={value}")?;
        }
        if let Some(text) = self.fields.get("text") {
            write!(f, " text={}", text.replace('\n', " "))?;
        }
        Ok(())
    }
}
