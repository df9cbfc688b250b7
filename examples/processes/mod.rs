//! A program that runs itself again in other roles: a server and its load in processes of their own, each with
//! descriptors of its own, which talk in lines over their standard streams.

pub mod children;
pub mod lifetime;
pub mod limit;
pub mod measure;
pub mod protocol;

/// What goes wrong here goes wrong for a person to read.
pub type Outcome<T> = Result<T, String>;
