//! The name of a child's place.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Names a child among those of its supervisor. It stays the same from incarnation to incarnation.
///
/// ```
/// use weftwork_actor::supervisor::ChildId;
///
/// assert_eq!(ChildId::from("db").to_string(), "db");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ChildId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ChildId {
    fn from(text: &str) -> Self {
        ChildId(text.into())
    }
}

impl From<String> for ChildId {
    fn from(text: String) -> Self {
        ChildId(text.into())
    }
}

impl From<Arc<str>> for ChildId {
    fn from(text: Arc<str>) -> Self {
        ChildId(text)
    }
}
