//! The tests that concern more than one crate. There is nothing here to import: each test is a file
//! of its own beside this one, named in the manifest.
