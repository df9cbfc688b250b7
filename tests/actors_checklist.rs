//! The checklist of actors (`docs/design/actors-checklist.md`) names tests: each of them is there.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of the tests, and the names of all functions in them.
fn tests() -> (HashSet<String>, HashSet<String>) {
    let (mut files, mut names) = (HashSet::new(), HashSet::new());
    for file in fs::read_dir(root().join("crates/actor/tests")).expect("the crate has tests") {
        let path = file.expect("a readable folder").path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a readable file");
        let functions = text.split("fn ").skip(1);
        names.extend(functions.filter_map(|rest| rest.split('(').next().map(str::to_owned)));
        files.extend(
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    (files, names)
}

#[test]
fn each_test_that_the_checklist_names_is_there() {
    let (files, names) = tests();
    let list = fs::read_to_string(root().join("docs/design/actors-checklist.md"));
    let list = list.expect("the checklist");
    let quoted = list.split('`').skip(1).step_by(2);
    let mut named = 0;
    for quoted in quoted {
        if quoted.contains('/') || quoted == "model.rs" {
            assert!(!quoted.contains(".rs") || quoted == "model.rs", "{quoted}");
        } else if quoted.ends_with(".rs") {
            assert!(files.contains(quoted), "no file {quoted}");
        } else if quoted.matches('_').count() >= 2 {
            assert!(names.contains(quoted), "no test {quoted}");
            named += 1;
        }
    }
    assert!(named > 100, "only {named} tests are named");
}
