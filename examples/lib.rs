//! What several examples of the workspace share.

pub mod processes;
