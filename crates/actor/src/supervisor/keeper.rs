//! The supervisor as an actor: what comes in goes to the plan.

use super::admin::{AdminError, ChildInfo, Counts, Refusal};
use super::child::{ChildSpec, ChildStart};
use super::crew::{Crew, Tools};
use super::id::ChildId;
use super::plan::{Again, Plan, Verdict};
use super::rules::{Restart, Rules};
use super::spec::SupervisorSpec;
use super::table::Child;
use crate::actor::{Actor, Exit, Handler, InitError};
use crate::context::Context;
use crate::hooks::Hooks;
use crate::pid::Pid;
use crate::reason::Reason;

pub(crate) struct Keeper {
    plan: Plan<Pid, ChildStart>,
    tools: Tools,
    template: Option<Rules>,
}

impl Keeper {
    fn go_on(&self, verdict: Verdict, ctx: &mut Context<Self>) {
        if verdict == Verdict::Stop {
            ctx.stop(Reason::Shutdown);
        }
    }
}

impl Actor for Keeper {
    type Args = SupervisorSpec;

    fn init(spec: SupervisorSpec, ctx: &mut Context<Self>) -> Result<Self, InitError> {
        spec.check().map_err(InitError::failed)?;
        ctx.trap_exit(true);
        let random = ctx.cell().hooks().and_then(Hooks::random);
        let mut keeper = Keeper {
            plan: Plan::new(spec.flags),
            tools: Tools::new(spec.reporter, spec.clock, spec.stop_deadline, random),
            template: spec.template,
        };
        for child in spec.children {
            let child = keeper.child(child);
            keeper.plan.add_idle(child);
        }
        let begun = keeper.plan.begin(&mut Crew::new(ctx, &mut keeper.tools));
        match begun {
            Ok(()) => Ok(keeper),
            Err(failed) => {
                let id = failed.id.as_ref().map_or("without id", ChildId::as_str);
                let text = format!("child {id} did not start: {}", failed.reason);
                Err(InitError::Failed(Reason::shutdown_with(text)))
            }
        }
    }

    fn on_exit(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        let mut crew = Crew::new(ctx, &mut self.tools);
        let verdict = self.plan.ended(&mut crew, &exit.from, &exit.reason);
        self.go_on(verdict, ctx);
    }

    fn terminate(&mut self, _: &Reason, ctx: &mut Context<Self>) {
        let mut crew = Crew::new(ctx, &mut self.tools).stopping();
        self.plan.stop_all(&mut crew);
    }
}

impl Keeper {
    /// A child with the rules that it gets here.
    fn child(&self, spec: ChildSpec) -> Child<Pid, ChildStart> {
        let mut rules = spec.rules;
        if let Some(template) = &self.template {
            let is_once = matches!(spec.start, ChildStart::Once(_));
            rules = template.clone();
            if is_once {
                rules.restart = Restart::Temporary;
            }
        }
        Child::new(spec.id, rules, spec.start)
    }
}

impl Handler<Again> for Keeper {
    type Reply = ();
    fn handle(&mut self, again: Again, ctx: &mut Context<Self>) {
        let mut crew = Crew::new(ctx, &mut self.tools);
        let verdict = self.plan.try_again(&mut crew, again);
        self.go_on(verdict, ctx);
    }
}

/// The answer to `Add`, with the child that was not added.
pub(crate) type Added = Result<Option<Pid>, (Refusal<Pid>, Box<ChildSpec>)>;

pub(crate) struct Add(pub(crate) Box<ChildSpec>);

impl Handler<Add> for Keeper {
    type Reply = Added;
    fn handle(&mut self, Add(spec): Add, ctx: &mut Context<Self>) -> Added {
        let child = self.child(*spec);
        let mut crew = Crew::new(ctx, &mut self.tools);
        self.plan.add(&mut crew, child).map_err(|not| {
            let (id, rules, start) = (not.child.id, not.child.rules, not.child.start);
            (not.refusal, Box::new(ChildSpec { id, rules, start }))
        })
    }
}

pub(crate) struct Terminate(pub(crate) ChildId);

impl Handler<Terminate> for Keeper {
    type Reply = Result<(), AdminError>;
    fn handle(&mut self, Terminate(id): Terminate, ctx: &mut Context<Self>) -> Self::Reply {
        let mut crew = Crew::new(ctx, &mut self.tools);
        self.plan.terminate(&mut crew, &id)
    }
}

pub(crate) struct TerminatePid(pub(crate) Pid);

impl Handler<TerminatePid> for Keeper {
    type Reply = Result<(), AdminError>;
    fn handle(&mut self, TerminatePid(pid): TerminatePid, ctx: &mut Context<Self>) -> Self::Reply {
        let mut crew = Crew::new(ctx, &mut self.tools);
        match self.plan.terminate_pid(&mut crew, &pid) {
            // What was to be has come to pass.
            Err(AdminError::NotFound) if !pid.is_alive() => Ok(()),
            other => other,
        }
    }
}

pub(crate) struct StartAgain(pub(crate) ChildId);

impl Handler<StartAgain> for Keeper {
    type Reply = Result<Option<Pid>, AdminError>;
    fn handle(&mut self, StartAgain(id): StartAgain, ctx: &mut Context<Self>) -> Self::Reply {
        let mut crew = Crew::new(ctx, &mut self.tools);
        self.plan.start_again(&mut crew, &id)
    }
}

pub(crate) struct Delete(pub(crate) ChildId);

impl Handler<Delete> for Keeper {
    type Reply = Result<(), AdminError>;
    fn handle(&mut self, Delete(id): Delete, _: &mut Context<Self>) -> Self::Reply {
        self.plan.delete(&id)
    }
}

pub(crate) struct Find(pub(crate) ChildId);

impl Handler<Find> for Keeper {
    type Reply = Result<Option<Pid>, AdminError>;
    fn handle(&mut self, Find(id): Find, _: &mut Context<Self>) -> Self::Reply {
        self.plan.pid_of(&id)
    }
}

pub(crate) struct List;

impl Handler<List> for Keeper {
    type Reply = Vec<ChildInfo>;
    fn handle(&mut self, List: List, _: &mut Context<Self>) -> Vec<ChildInfo> {
        self.plan.list()
    }
}

pub(crate) struct Count;

impl Handler<Count> for Keeper {
    type Reply = Counts;
    fn handle(&mut self, Count: Count, _: &mut Context<Self>) -> Counts {
        self.plan.count_children()
    }
}
