//! What the tests of the test kit share: an actor that keeps numbers and tells somebody.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use std::time::Duration;
use weftwork_actor::{
    Actor, Context, Down, Exit, Handler, InitError, Pid, Reason, Recipient, TimerRef,
};

pub const SECOND: Duration = Duration::from_secs(1);

/// What a teller tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Number(u32),
    Exit(Reason),
    Down(Reason),
    Terminate(Reason),
}

/// Does what it is told, and tells what it hears.
#[derive(Debug)]
pub struct Teller(pub Recipient<Told>);

impl Teller {
    pub fn tell(&self, what: Told) {
        // The probe may be gone at the end of a test.
        let _ = self.0.tell(what);
    }
}

impl Actor for Teller {
    type Args = Recipient<Told>;

    fn init(to: Recipient<Told>, _: &mut Context<Self>) -> Result<Self, InitError> {
        Ok(Teller(to))
    }

    fn on_exit(&mut self, exit: Exit, _: &mut Context<Self>) {
        self.tell(Told::Exit(exit.reason));
    }

    fn on_down(&mut self, down: Down, _: &mut Context<Self>) {
        self.tell(Told::Down(down.reason));
    }

    fn terminate(&mut self, reason: &Reason, _: &mut Context<Self>) {
        self.tell(Told::Terminate(reason.clone()));
    }
}

/// To be told, and answered.
impl Handler<u32> for Teller {
    type Reply = u32;

    fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 {
        self.tell(Told::Number(n));
        n
    }
}

/// Something to do.
pub struct Do(pub Work);

pub type Work = Box<dyn FnOnce(&mut Teller, &mut Context<Teller>) + Send>;

impl Do {
    pub fn new(work: impl FnOnce(&mut Teller, &mut Context<Teller>) + Send + 'static) -> Self {
        Do(Box::new(work))
    }

    pub fn after(delay: Duration, n: u32) -> Self {
        Do::new(move |_, ctx| {
            let _: TimerRef = ctx.send_after(delay, n);
        })
    }

    pub fn link(to: &Pid) -> Self {
        let to = to.clone();
        Do::new(move |_, ctx| ctx.link(&to).unwrap())
    }

    pub fn monitor(whom: &Pid) -> Self {
        let whom = whom.clone();
        Do::new(move |_, ctx| {
            ctx.monitor(&whom);
        })
    }
}

impl Handler<Do> for Teller {
    type Reply = ();

    fn handle(&mut self, Do(work): Do, ctx: &mut Context<Self>) {
        work(self, ctx);
    }
}
