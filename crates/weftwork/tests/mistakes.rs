//! What the compiler says about mistakes in the use of the attributes, and where.
#![cfg(feature = "macros")]

#[test]
fn mistakes_are_reported_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
