//! The crates depend on one another in one direction only, and on little else.
//!
//! The map below is the architecture as data. An edge that is not in it is a decision, not a detail:
//! add it here together with its reason, or wait through `weftwork-core` as the others do.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// What a published crate may depend on, in its normal and build dependencies.
struct Allowed {
    name: &'static str,
    /// Members of the workspace.
    crates: &'static [&'static str],
    /// Crates from the registry.
    external: &'static [&'static str],
    why: &'static str,
}

const MAP: &[Allowed] = &[
    Allowed {
        name: "weftwork-core",
        crates: &[],
        external: &["parking_lot", "loom"],
        why: "the root of the direction: everybody waits through it, so it can wait for nobody",
    },
    Allowed {
        name: "weftwork-fiber",
        crates: &[],
        external: &["libc"],
        why: "stacks and switches are useful without tasks, and are checked without them",
    },
    Allowed {
        name: "weftwork-csp",
        crates: &["weftwork-core"],
        external: &["futures-core", "futures-sink"],
        why: "channels wait through core alone, so one end may be under any executor",
    },
    Allowed {
        name: "weftwork-reactor",
        crates: &["weftwork-core"],
        external: &["libc"],
        why: "readiness and timers know nothing of a scheduler; an event loop needs no other",
    },
    Allowed {
        name: "weftwork-sched",
        crates: &["weftwork-core", "weftwork-fiber", "weftwork-reactor"],
        external: &["crossbeam-deque", "crossbeam-utils", "libc", "parking_lot"],
        why: "puts tasks, stacks and readiness together",
    },
    Allowed {
        name: "weftwork-sync",
        crates: &["weftwork-core"],
        external: &[],
        why: "locks wait through core, so they serve threads and foreign executors as well",
    },
    Allowed {
        name: "weftwork-stm",
        crates: &["weftwork-core"],
        external: &["crossbeam-utils"],
        why: "transactions wait through core, so they serve threads and foreign executors as well",
    },
    Allowed {
        name: "weftwork-actor",
        crates: &["weftwork-core", "weftwork-csp"],
        external: &["tokio"],
        why: "actors run on any executor of tasks, and wait through core; on tokio by a feature, because what an \
              actor needs of it (a task that ends with the runtime, a worker that is relieved before it sleeps) \
              is more than a user should write",
    },
    Allowed {
        name: "weftwork-net",
        crates: &["weftwork-core", "weftwork-reactor", "weftwork-sched"],
        external: &["libc"],
        why: "sockets wait for readiness, on workers where there are any",
    },
    Allowed {
        name: "weftwork-macros",
        crates: &[],
        external: &["proc-macro2", "quote", "syn"],
        why: "runs in the compiler: what it writes names the facade, but it needs nobody",
    },
    Allowed {
        name: "weftwork",
        crates: &[
            "weftwork-macros",
            "weftwork-core",
            "weftwork-fiber",
            "weftwork-reactor",
            "weftwork-sched",
            "weftwork-sync",
            "weftwork-csp",
            "weftwork-stm",
            "weftwork-actor",
            "weftwork-net",
        ],
        external: &[],
        why: "re-exports what stands below it and has no logic of its own",
    },
];

/// Registry crates that are dependencies under one cfg only.
const UNDER_CFG: &[(&str, &str)] = &[("loom", "cfg(weftwork_loom)")];

/// Registry crates that are dependencies by a feature only, which is off unless it is asked for.
const BY_FEATURE: &[&str] = &["tokio"];

/// The members that are never published. Nothing may depend on one, except to test.
const UNPUBLISHED: &[&str] = &[
    "weftwork-testkit",
    "weftwork-bench",
    "weftwork-examples",
    "weftwork-tests",
];

/// Crates at the bottom, whose tests must run without what stands above them.
const TESTED_ALONE: &[&str] = &["weftwork-core", "weftwork-fiber"];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: String,
    to: String,
    is_dev: bool,
    is_optional: bool,
    /// The cfg or platform it is limited to.
    target: Option<String>,
}

#[derive(Debug)]
struct Workspace {
    /// The name of each member, and whether it is published.
    members: BTreeMap<String, bool>,
    edges: Vec<Edge>,
}

impl Workspace {
    fn read() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .args([
                "--manifest-path",
                concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"),
            ])
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "cargo metadata fails: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self::parse(&serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON"))
    }

    fn parse(metadata: &Value) -> Self {
        let mut members = BTreeMap::new();
        let mut edges = Vec::new();
        for package in metadata["packages"].as_array().expect("packages") {
            let from = package["name"].as_str().expect("a name").to_owned();
            for dependency in package["dependencies"].as_array().expect("dependencies") {
                edges.push(Edge {
                    from: from.clone(),
                    to: dependency["name"].as_str().expect("a name").to_owned(),
                    is_dev: dependency["kind"] == "dev",
                    is_optional: dependency["optional"] == true,
                    target: dependency["target"].as_str().map(str::to_owned),
                });
            }
            // `publish = false` is an empty list of registries; a published crate has null.
            let published = package["publish"]
                .as_array()
                .is_none_or(|list| !list.is_empty());
            members.insert(from, published);
        }
        Workspace { members, edges }
    }

    /// What is wrong with the workspace, one line each.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let row = |name: &str| MAP.iter().find(|row| row.name == name);

        for (name, &published) in &self.members {
            let known = if published {
                row(name).is_some()
            } else {
                UNPUBLISHED.contains(&&**name)
            };
            if !known {
                complaints.push(format!("{name} (published: {published}) is not in the map"));
            }
        }
        for name in MAP
            .iter()
            .map(|row| row.name)
            .chain(UNPUBLISHED.iter().copied())
        {
            if !self.members.contains_key(name) {
                complaints.push(format!("{name} is in the map, but not in the workspace"));
            }
        }

        for edge @ Edge {
            from,
            to,
            is_dev,
            is_optional,
            target,
        } in &self.edges
        {
            let is_member = self.members.contains_key(to);
            if *is_dev {
                let reaches_up = is_member && to != "weftwork-testkit";
                if reaches_up && TESTED_ALONE.contains(&from.as_str()) {
                    complaints.push(format!("{from} is tested alone, but its tests need {to}"));
                }
                continue;
            }
            if is_member && UNPUBLISHED.contains(&to.as_str()) {
                complaints.push(format!("{from} depends on {to}, which is for tests only"));
                continue;
            }
            let Some(row) = row(from) else {
                // Unpublished packages may use whatever they like of the others.
                continue;
            };
            let list = if is_member { row.crates } else { row.external };
            if !list.contains(&to.as_str()) {
                complaints.push(format!(
                    "{from} -> {to} is against the map ({from}: {})",
                    row.why
                ));
            }
            if BY_FEATURE.contains(&to.as_str()) && !is_optional {
                complaints.push(format!("{edge:?} must be optional"));
            }
            let limit = UNDER_CFG
                .iter()
                .find(|(name, _)| name == to)
                .map(|(_, cfg)| *cfg);
            if limit.is_some() && limit != target.as_deref() {
                complaints.push(format!(
                    "{edge:?} must be limited to {}",
                    limit.unwrap_or("")
                ));
            }
        }
        complaints
    }
}

#[test]
fn the_workspace_keeps_to_the_map() {
    let complaints = Workspace::read().complaints();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_map_has_no_cycle() {
    // Rows stand in the order of the direction, so an edge up the list would be the start of one.
    for (n, row) in MAP.iter().enumerate() {
        for to in row.crates {
            let place = MAP.iter().position(|r| r.name == *to);
            assert!(
                place.is_some_and(|p| p < n),
                "{} -> {to} goes against the order",
                row.name
            );
        }
    }
}

/// The workspace as the map has it, with one edge more.
fn with_edge(from: &str, to: &str, is_dev: bool, target: Option<&str>) -> Workspace {
    let mut members: BTreeMap<String, bool> =
        MAP.iter().map(|row| (row.name.to_owned(), true)).collect();
    members.extend(UNPUBLISHED.iter().map(|name| ((*name).to_owned(), false)));
    let edge = Edge {
        from: from.to_owned(),
        to: to.to_owned(),
        is_dev,
        is_optional: false,
        target: target.map(str::to_owned),
    };
    Workspace {
        members,
        edges: vec![edge],
    }
}

#[test]
fn each_kind_of_forbidden_edge_is_reported() {
    for (from, to, is_dev, target) in [
        ("weftwork-core", "weftwork-sched", false, None),
        ("weftwork-fiber", "weftwork-core", false, None),
        ("weftwork-reactor", "weftwork-fiber", false, None),
        ("weftwork-sched", "weftwork-net", false, None),
        ("weftwork-reactor", "mio", false, None),
        ("weftwork-actor", "tokio", false, None),
        ("weftwork-core", "loom", false, None),
        ("weftwork-sched", "weftwork-testkit", false, None),
        ("weftwork-bench", "weftwork-testkit", false, None),
        ("weftwork-net", "weftwork-macros", false, None),
        ("weftwork-macros", "weftwork-core", false, None),
        ("weftwork-core", "weftwork-sched", true, None),
        ("weftwork-core", "loom", false, Some("cfg(unix)")),
    ] {
        let complaints = with_edge(from, to, is_dev, target).complaints();
        assert_eq!(complaints.len(), 1, "{from} -> {to}: {complaints:?}");
    }
}

#[test]
fn edges_along_the_direction_and_for_tests_pass() {
    for (from, to, is_dev, target) in [
        ("weftwork-net", "weftwork-sched", false, None),
        ("weftwork-core", "weftwork-testkit", true, None),
        ("weftwork-sched", "proptest", true, None),
        ("weftwork-reactor", "weftwork-sched", true, None),
        ("weftwork-bench", "weftwork-fiber", false, None),
        ("weftwork-core", "loom", false, Some("cfg(weftwork_loom)")),
    ] {
        let complaints = with_edge(from, to, is_dev, target).complaints();
        assert!(complaints.is_empty(), "{from} -> {to}: {complaints:?}");
    }
}

#[test]
fn a_crate_that_the_map_does_not_know_is_reported() {
    let mut workspace = with_edge("weftwork-net", "libc", false, None);
    workspace.members.insert("weftwork-extra".into(), true);
    assert_eq!(workspace.complaints().len(), 1);
    workspace.members.remove("weftwork-extra");
    workspace.members.remove("weftwork-net");
    assert!(!workspace.complaints().is_empty());
}
