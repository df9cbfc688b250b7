//! Crates whose protocols are model-checked take atomics, threads and watched cells from
//! `weftwork_core::sync` and nowhere else: what bypasses that door is invisible to the models.
//!
//! Clippy's `disallowed-types` guards the locks (see `crates/*/clippy.toml`). It cannot guard the
//! rest: it goes by the definition of a type, and in an ordinary build the door re-exports std's
//! very types, so it would forbid what comes through the door, too. Hence this test reads the
//! sources. It looks at paths, as written or imported, outside comments, strings and unit tests.
//!
//! Something that is rightly outside every model, such as a counter in a static, which loom's atomics
//! cannot be in, says so at the end of its line or in the comment right above it:
//! `// Outside the models: REASON`.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates behind the door. Core is the door; fiber is a leaf, whose stacks loom cannot run.
const BEHIND_THE_DOOR: &[&str] = &[
    "reactor", "sched", "net", "sync", "csp", "stm", "actor", "weftwork",
];

/// Paths that are forbidden together with all below them.
const FORBIDDEN: &[&str] = &["std::sync::atomic", "std::cell::UnsafeCell", "loom"];

/// What `std::thread` has that the door has, too. The rest, `panicking` for one, is free.
const FORBIDDEN_OF_THREAD: &[&str] = &[
    "spawn",
    "scope",
    "Builder",
    "JoinHandle",
    "Thread",
    "current",
    "park",
    "park_timeout",
    "yield_now",
];

/// Modules that may not be imported whole: paths through the name would escape this test.
const FORBIDDEN_WHOLE: &[&str] = &["std::sync", "std::thread", "std::cell"];

/// What an exception says, followed by its reason.
const MARK: &str = "Outside the models:";

/// One forbidden path.
#[derive(Debug, PartialEq)]
struct Finding {
    line: usize,
    path: String,
}

fn is_forbidden(path: &str, is_import: bool) -> bool {
    let path = path
        .strip_prefix("core::")
        .map_or(path.to_owned(), |rest| format!("std::{rest}"));
    let below = |root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    if FORBIDDEN.iter().any(|root| below(root)) {
        return true;
    }
    if let Some(item) = path.strip_prefix("std::thread::") {
        let item = item.split("::").next().unwrap_or(item);
        return item == "*" || FORBIDDEN_OF_THREAD.contains(&item);
    }
    let whole = |root: &&str| path == **root || path == format!("{root}::*");
    is_import && FORBIDDEN_WHOLE.iter().any(whole)
}

fn findings(source: &str) -> Vec<Finding> {
    let text = blank_comments_and_strings(source);
    let text = &text[..text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len())];
    let lines: Vec<&str> = source.lines().collect();
    let is_marked = |line: usize| {
        let above = lines[..line].iter().rev();
        let mut comment = above.take_while(|l| l.trim_start().starts_with("//"));
        lines[line].contains(MARK) || comment.any(|l| l.contains(MARK))
    };

    let mut found = Vec::new();
    let mut rest = 0;
    while let Some((start, end)) = next_path(text, rest) {
        rest = end;
        let line = text[..start].matches('\n').count();
        let is_import = text[..start].trim_end().ends_with("use")
            || text[..start].trim_end().ends_with("use ::");
        let paths = if is_import {
            let end = text[start..].find(';').map_or(text.len(), |n| start + n);
            rest = end;
            expand(&text[start..end])
        } else {
            vec![text[start..end].to_owned()]
        };
        for path in paths {
            if is_forbidden(&path, is_import) && !is_marked(line) {
                found.push(Finding {
                    line: line + 1,
                    path,
                });
            }
        }
    }
    found
}

/// The next path of `text` from `from` on that starts at std, core or loom.
fn next_path(text: &str, from: usize) -> Option<(usize, usize)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = from;
    loop {
        let start = ["std::", "core::", "loom::"]
            .iter()
            .filter_map(|root| text[at..].find(root).map(|n| at + n))
            .min()?;
        let before = text[..start].chars().next_back();
        // `weftwork_core::…` and `crate::core::…` are other paths; `::std::…` is the same.
        let is_own_word = !before.is_some_and(is_word);
        let is_inner = text[..start].ends_with("::")
            && text[..start - 2].chars().next_back().is_some_and(is_word);
        let end = text[start..]
            .find(|c: char| !is_word(c) && c != ':')
            .map_or(text.len(), |n| start + n);
        if is_own_word && !is_inner {
            return Some((start, end));
        }
        at = end.max(start + 1);
    }
}

/// The paths that a use tree names: `a::{b, c::{self, d}}` gives `a::b`, `a::c` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        return vec![path.strip_suffix("::self").unwrap_or(path).to_owned()];
    };
    let prefix = &tree[..open];
    let inside = &tree[open + 1..];
    let inside = &inside[..matching(inside).unwrap_or(inside.len())];
    let mut depth = 0;
    inside
        .split(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            c == ',' && depth == 0
        })
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| expand(&format!("{prefix}{}", part.trim())))
        .collect()
}

/// Where the brace closes that was open before `text`.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.char_indices().find_map(|(n, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(n)
    })
}

/// Replaces what stands in comments and literals by blanks; lines keep their numbers.
fn blank_comments_and_strings(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |n| n + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            rest[body..]
                .find(&close)
                .map_or(rest.len(), |n| body + n + close.len())
        } else if let Some(body) = rest.strip_prefix('"') {
            let mut escaped = false;
            body.find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            })
            .map_or(rest.len(), |n| n + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if let Some(escape) = rest.strip_prefix("'\\") {
            // The escaped character itself may be a quote.
            let body = escape.chars().next().map_or(0, char::len_utf8);
            escape[body..]
                .find('\'')
                .map_or(rest.len(), |n| 2 + body + n + 1)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        for byte in &mut out[at..at + length] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += length;
    }
    String::from_utf8(out).expect("whole characters were blanked")
}

/// How many hashes a raw string has that starts here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_stem().is_some_and(|s| s != "tests")
        {
            into.push(path);
        }
    }
}

#[test]
fn nobody_goes_past_the_door() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut bypasses = Vec::new();
    for name in BEHIND_THE_DOOR {
        let mut files = Vec::new();
        sources(&crates.join(name).join("src"), &mut files);
        assert!(!files.is_empty(), "{name} has no sources");
        files.sort();
        for file in files {
            let source = fs::read_to_string(&file).expect("a source file");
            let file = file.strip_prefix(&crates).expect("below crates").display();
            let found = findings(&source).into_iter();
            bypasses.extend(found.map(|f| format!("crates/{file}:{}: {}", f.line, f.path)));
        }
    }
    assert!(
        bypasses.is_empty(),
        "\ntake these from weftwork_core::sync, or say why not, `// {MARK} REASON`:\n{}\n",
        bypasses.join("\n")
    );
}

fn paths(source: &str) -> Vec<String> {
    findings(source).into_iter().map(|f| f.path).collect()
}

#[test]
fn forbidden_paths_are_found_however_they_are_written() {
    for (source, expected) in [
        (
            "use std::sync::atomic::AtomicU8;",
            vec!["std::sync::atomic::AtomicU8"],
        ),
        ("use std::{fmt, sync::{Arc, atomic::{self, fence}}};", {
            vec!["std::sync::atomic", "std::sync::atomic::fence"]
        }),
        (
            "static A: core::sync::atomic::AtomicU8 = x;",
            vec!["core::sync::atomic::AtomicU8"],
        ),
        (
            "pub(crate) use ::std::thread::{spawn as go, Result};",
            vec!["std::thread::spawn"],
        ),
        (
            "fn f() { let t = ::std::thread::current(); }",
            vec!["std::thread::current"],
        ),
        ("use std::thread;", vec!["std::thread"]),
        (
            "use std::thread::{self, Builder};",
            vec!["std::thread", "std::thread::Builder"],
        ),
        ("use std::sync::*;", vec!["std::sync::*"]),
        ("use loom::sync::Arc;", vec!["loom::sync::Arc"]),
        (
            "let c = '\"'; use std::cell::UnsafeCell;",
            vec!["std::cell::UnsafeCell"],
        ),
    ] {
        assert_eq!(paths(source), expected, "{source}");
    }
}

#[test]
fn what_is_free_is_not_reported() {
    for source in [
        "use weftwork_core::sync::atomic::AtomicU8;",
        "use std::sync::{Arc, OnceLock};",
        "if std::thread::panicking() {}",
        "use std::cell::{Cell, RefCell};",
        "//! like std::sync::atomic::AtomicU8\n/* std::thread::spawn */",
        "let s = \"std::thread::spawn\"; let r = r#\"use std::thread;\"#;",
        "use std::time::Duration;\n\n#[cfg(test)]\nmod tests {\n    use std::thread;\n}",
    ] {
        assert_eq!(paths(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn a_marked_line_is_free_and_the_others_keep_their_numbers() {
    let source = "\
// Outside the models: loom's cannot stand
// in a static.
static A: std::sync::atomic::AtomicU8 = x;
static B: std::sync::atomic::AtomicU8 = x; // Outside the models: the same.

static C: std::sync::atomic::AtomicU8 = x;
";
    let found = findings(source);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].line, 6);
}
