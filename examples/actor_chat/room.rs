//! A room: numbers what its members say, keeps the last of it, and passes it on.
//!
//! Its members are those of the process group of its name. It follows the group: a member that joins, leaves
//! or ends is an event in the mailbox, in order with what is said. So who joins gets the history up to some
//! message, and then every message after it.
//!
//! A crash ends the incarnation and what waited in its mailbox, but neither the group nor the archive: the
//! archive is in the hands of the closure that starts incarnations. The next one finds the members, tells them
//! and goes on.
//!
//! It never waits for a member: see the policy of [`Session`]'s mailbox.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tungstenite::Bytes;
use weftwork::actor::groups::{Change, Event};
use weftwork::actor::{Actor, Addr, Context, Handler, InitError, Pid};
use weftwork::sync::Mutex;

use crate::app;
use crate::hub::Hub;
use crate::lines;
use crate::session::{Deliver, Session};

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    name: Arc<str>,
    members: BTreeMap<Pid, Addr<Session>>,
    archive: Arc<Mutex<Archive>>,
}

/// The last messages of a room, which outlive its incarnations.
#[derive(Debug)]
pub(crate) struct Archive {
    /// The number of the next message.
    next: u64,
    keep: usize,
    /// As frames, the oldest first.
    last: VecDeque<Bytes>,
    /// Members that have been welcomed. Those of the group may be others: some come and go while the room
    /// is being started.
    welcomed: BTreeSet<Pid>,
}

/// Somebody says this; the name of whoever it is stands in front.
#[derive(Debug)]
pub(crate) struct Say(pub(crate) String);

/// Panic.
#[derive(Debug)]
pub(crate) struct Crash;

/// An archive of so many messages at most.
pub(crate) fn archive(keep: usize) -> Arc<Mutex<Archive>> {
    Arc::new(Mutex::new(Archive {
        next: 1,
        keep,
        last: VecDeque::new(),
        welcomed: BTreeSet::new(),
    }))
}

impl Archive {
    fn put(&mut self, frame: Bytes) {
        self.next += 1;
        self.last.push_back(frame);
        if self.last.len() > self.keep {
            self.last.pop_front();
        }
    }
}

impl Room {
    /// Who is there, after a sign of why they are told.
    fn roll(&self, archive: &Archive, sign: char) -> String {
        let mut text = format!("{sign} {} {}", self.name, archive.next);
        for pid in self.members.keys() {
            text.push(' ');
            text.push_str(pid.name().unwrap_or_default());
        }
        text
    }

    /// Sends a new member the roll and the history.
    fn welcome(&self, pid: &Pid, session: &Addr<Session>) {
        let mut archive = self.archive.lock();
        let mut welcome = Vec::new();
        lines::push_text(&mut welcome, self.roll(&archive, '='));
        for frame in &archive.last {
            welcome.extend_from_slice(frame);
        }
        archive.welcomed.insert(pid.clone());
        drop(archive);
        // As in `tell_all`.
        let _ = session.try_tell(Deliver(welcome.into()));
    }

    fn tell_all(&self, frame: &Bytes) {
        for session in self.members.values() {
            // A session that is full, or has ended, is about to leave the group.
            let _ = session.try_tell(Deliver(frame.clone()));
        }
    }

    fn presence(&self, sign: char, pid: &Pid) -> Bytes {
        let name = pid.name().unwrap_or_default();
        lines::text(format!("{sign} {} {name}", self.name))
    }
}

impl Actor for Room {
    type Args = (Arc<str>, Hub, Arc<Mutex<Archive>>);

    fn init((name, hub, archive): Self::Args, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        let to = ctx.addr().recipient();
        let pids = hub.members().monitor_by(Arc::clone(&name), &to);
        let member = |pid: Pid| Some((pid.clone(), pid.downcast()?));
        let room = Room {
            name,
            members: pids.into_iter().filter_map(member).collect(),
            archive,
        };
        let mut archive = room.archive.lock();
        archive
            .welcomed
            .retain(|pid| room.members.contains_key(pid));
        let known = archive.welcomed.clone();
        let again = lines::text(room.roll(&archive, '~'));
        drop(archive);
        for (pid, session) in &room.members {
            if known.contains(pid) {
                // As in `tell_all`.
                let _ = session.try_tell(Deliver(again.clone()));
            } else {
                room.welcome(pid, session);
            }
        }
        Ok(room)
    }
}

impl Handler<Event> for Room {
    type Reply = ();

    fn handle(&mut self, Event { pid, change, .. }: Event, _: &mut Context<Self>) {
        match change {
            Change::Join => {
                let Some(session) = pid.downcast::<Session>() else {
                    return;
                };
                self.tell_all(&self.presence('+', &pid));
                self.members.insert(pid.clone(), session.clone());
                self.welcome(&pid, &session);
            }
            Change::Leave => {
                if self.members.remove(&pid).is_some() {
                    self.archive.lock().welcomed.remove(&pid);
                    self.tell_all(&self.presence('-', &pid));
                }
            }
        }
    }
}

impl Handler<Say> for Room {
    type Reply = ();

    fn handle(&mut self, Say(text): Say, _: &mut Context<Self>) {
        let mut archive = self.archive.lock();
        let frame = lines::text(format!("{} {} {text}", self.name, archive.next));
        archive.put(frame.clone());
        drop(archive);
        self.tell_all(&frame);
    }
}

impl Handler<Crash> for Room {
    type Reply = ();

    fn handle(&mut self, _: Crash, ctx: &mut Context<Self>) {
        app::crash(ctx);
    }
}
