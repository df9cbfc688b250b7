//! An actor and those that it has started, as text or JSON.

use super::info::{Inside, answer, inspect};
use super::json;
use crate::pid::Pid;
use std::fmt::{self, Write};
use std::time::Duration;
use weftwork_core::wait::deadline_after;

/// An actor, then those that it has started with a link, each followed by its own, oldest first.
///
/// Displayed as one line for each, indented. Made by [`tree`].
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
}

/// An actor in a [`Tree`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Who.
    pub pid: Pid,
    /// How far below the root.
    pub depth: usize,
    /// How many messages wait.
    pub queue_len: usize,
    /// How many it has handled; none if it did not answer in time. Then it may belong to somebody else, and
    /// have children that are not listed.
    pub handled: Option<u64>,
}

/// Looks at an actor and at those that it has started with a link, and so on, each of which has so long to
/// answer. The calling green thread or OS thread parks.
///
/// It is no snapshot: actors come and go meanwhile.
///
/// ```
/// use std::time::Duration;
/// use weftwork_actor::{Actor, Context, InitError, Options, introspect, start};
///
/// struct Parent;
///
/// impl Actor for Parent {
///     type Args = u32;
///     fn init(generations: u32, ctx: &mut Context<Self>) -> Result<Self, InitError> {
///         for _ in 0..generations {
///             ctx.spawn_link::<Parent>(generations - 1, Options::new().name("child")).unwrap();
///         }
///         Ok(Parent)
///     }
/// }
///
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
/// let root = start::<Parent>(rt.handle(), 2, Options::new().name("root"))?;
/// let tree = introspect::tree(&root.pid(), Duration::from_secs(1));
/// let depths: Vec<_> = tree.nodes().iter().map(|node| node.depth).collect();
/// assert_eq!(depths, [0, 1, 2, 1, 2]);
/// println!("{tree}");
/// println!("{}", tree.to_json());
/// # root.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[track_caller]
pub fn tree(root: &Pid, timeout: Duration) -> Tree {
    let mut nodes = Vec::new();
    let mut rest = vec![(
        root.clone(),
        0,
        ask_all([root.clone()], timeout).remove(0).1,
    )];
    while let Some((pid, depth, inside)) = rest.pop() {
        nodes.push(Node {
            depth,
            queue_len: pid.mailbox_len(),
            handled: inside.as_ref().map(|inside| inside.handled),
            pid: pid.clone(),
        });
        let Some(inside) = inside else { continue };
        let others = inside
            .links
            .into_iter()
            .filter(|link| Some(link) != inside.parent.as_ref());
        let mut children = ask_all(others, timeout);
        children.retain(|(child, inside)| match inside {
            Some(inside) => inside.parent.as_ref() == Some(&pid),
            None => child.is_alive(),
        });
        // The last one pushed is the next one looked at.
        let children = children.into_iter().rev();
        rest.extend(children.map(|(child, inside)| (child, depth + 1, inside)));
    }
    Tree { nodes }
}

/// Asks all at once, then waits for each.
#[track_caller]
fn ask_all(pids: impl IntoIterator<Item = Pid>, timeout: Duration) -> Vec<(Pid, Option<Inside>)> {
    let asked: Vec<_> = pids
        .into_iter()
        .map(|pid| {
            let asked = inspect(&pid, |own| Inside::of(own));
            (pid, asked)
        })
        .collect();
    let deadline = deadline_after(timeout);
    let mut all = Vec::with_capacity(asked.len());
    for (pid, asked) in asked {
        let inside = asked.and_then(|asked| answer(asked, deadline).ok());
        all.push((pid, inside));
    }
    all
}

impl Tree {
    /// The actors: each stands before those that it has started.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Writes the tree as JSON: an object per actor, with `pid`, `type`, `name` (a text or null),
    /// `queue_len`, `handled` (a number or null) and `children`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        // A text takes all that is written.
        let _ = self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        let mut open = 0;
        for (at, node) in self.nodes.iter().enumerate() {
            if at > 0 && node.depth < open {
                for _ in node.depth..open {
                    out.write_str("]}")?;
                }
                out.write_char(',')?;
            }
            write!(out, "{{\"pid\":\"{}\",\"type\":", node.pid)?;
            json::string(out, node.pid.type_name())?;
            out.write_str(",\"name\":")?;
            match node.pid.name() {
                Some(name) => json::string(out, name)?,
                None => out.write_str("null")?,
            }
            write!(out, ",\"queue_len\":{},\"handled\":", node.queue_len)?;
            match node.handled {
                Some(handled) => write!(out, "{handled}")?,
                None => out.write_str("null")?,
            }
            out.write_str(",\"children\":[")?;
            open = node.depth + 1;
        }
        for _ in 0..open {
            out.write_str("]}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.nodes.iter().enumerate() {
            if at > 0 {
                f.write_char('\n')?;
            }
            for _ in 0..node.depth {
                f.write_str("  ")?;
            }
            write!(f, "{:?} {}", node.pid, node.pid.type_name())?;
            match node.handled {
                Some(handled) => write!(f, ", handled {handled}, {} wait", node.queue_len)?,
                None => write!(f, ", does not answer, {} wait", node.queue_len)?,
            }
        }
        Ok(())
    }
}
