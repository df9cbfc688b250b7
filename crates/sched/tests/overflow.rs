//! A stack overflow in a green thread: the process ends and says whose stack it was.

mod support;

use std::process::Command;
use support::watched;
use weftwork_sched::{Runtime, TaskBuilder, spawn, yield_now};

const ROLE: &str = "WEFTWORK_TEST_OVERFLOW";

/// Runs this very test again, in a process of its own that plays `role`; what it said at its end.
fn child(test: &str, role: &str) -> String {
    let me = std::env::current_exe().unwrap();
    let output = Command::new(me)
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .output()
        .unwrap();
    assert!(!output.status.success(), "the overflow went unnoticed");
    assert!(
        output.status.code().is_none(),
        "{:?}: not a signal",
        output.status
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if frame[0] == u64::MAX {
        return 0;
    }
    recurse(depth + 1) + frame[1]
}

#[test]
fn the_report_names_the_task_its_number_and_its_origin() {
    if std::env::var_os(ROLE).is_some() {
        let rt = Runtime::builder().workers(1).build().unwrap();
        rt.run(|| {
            let deep = TaskBuilder::named("bottomless").spawn(|| {
                yield_now();
                recurse(0)
            });
            yield_now();
            println!("{}", deep.join().unwrap());
        });
        return;
    }
    watched(|| {
        let text = child(
            "the_report_names_the_task_its_number_and_its_origin",
            "named",
        );
        assert!(text.contains("green thread"), "{text}");
        assert!(text.contains("'bottomless' spawned at"), "{text}");
        assert!(text.contains(file!()), "{text}");
    });
}

#[test]
fn a_task_that_its_joiner_runs_is_named_too() {
    if std::env::var_os(ROLE).is_some() {
        let rt = Runtime::builder().workers(1).build().unwrap();
        rt.run(|| {
            let child = TaskBuilder::named("on its joiner's stack").spawn(|| recurse(0));
            println!("{}", child.join().unwrap());
        });
        return;
    }
    watched(|| {
        let text = child("a_task_that_its_joiner_runs_is_named_too", "joined");
        assert!(
            text.contains("'on its joiner's stack' spawned at"),
            "{text}"
        );
    });
}

#[test]
fn an_unnamed_task_is_known_by_its_line() {
    if std::env::var_os(ROLE).is_some() {
        let rt = Runtime::builder().workers(2).build().unwrap();
        rt.run(|| spawn(|| recurse(0)).join().unwrap());
        return;
    }
    watched(|| {
        let text = child("an_unnamed_task_is_known_by_its_line", "unnamed");
        assert!(
            text.contains("green thread") && text.contains(file!()),
            "{text}"
        );
    });
}
