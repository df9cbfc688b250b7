//! What must not compile, and what the compiler says then.
//!
//! The messages are those of the compiler that the workspace names. After a change that is meant,
//! `TRYBUILD=overwrite cargo test -p weftwork-stm --test compile_fail` writes them anew.

// A sanitizer's compiler is another one, with words of its own.
#![cfg(not(weftwork_asan))]

#[test]
fn misuse_does_not_compile_and_says_why() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
