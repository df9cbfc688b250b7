//! One simulation, or many: looking for a seed that fails.

use super::Lab;
use super::trace::Trace;
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `test` in a [`Lab`] with this seed.
///
/// ```
/// use weftwork_actor::testing::simulate;
/// # use weftwork_actor::{Actor, Context, Handler, InitError};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
/// # }
/// # impl Handler<u32> for Echo {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
///
/// let trace = simulate(7, |lab| {
///     let echo = lab.start::<Echo>(());
///     assert_eq!(echo.ask(3).unwrap(), 3);
///     lab.trace()
/// });
/// assert!(trace.to_string().contains("test -> Echo#1: u32"));
/// ```
pub fn simulate<R>(seed: u64, test: impl FnOnce(&Lab) -> R) -> R {
    Lab::new(seed).run(test)
}

/// Runs `test` with one seed after the other, until one fails: the test panics.
///
/// # Errors
/// The first seed that fails, with the panic and the trace. [`simulate`] with that seed does the same again.
pub fn search(
    seeds: impl IntoIterator<Item = u64>,
    test: impl Fn(&Lab),
) -> Result<(), Box<Failure>> {
    for seed in seeds {
        let lab = Lab::new(seed);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| lab.run(&test))) {
            return Err(Box::new(Failure {
                seed,
                message: message_of(&*payload).into(),
                trace: lab.trace(),
            }));
        }
    }
    Ok(())
}

/// Runs `test` with one seed after the other. To run it with one seed alone, set `WEFTWORK_SEED` to that in the
/// environment: then the trace is printed, too.
///
/// # Panics
/// A seed fails. The message has the seed, what the test said, how to replay it, and the trace.
///
/// ```
/// use weftwork_actor::testing::explore;
/// # use weftwork_actor::{Actor, Context, Handler, InitError};
/// # struct Echo;
/// # impl Actor for Echo {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Echo) }
/// # }
/// # impl Handler<u32> for Echo {
/// #     type Reply = u32;
/// #     fn handle(&mut self, n: u32, _: &mut Context<Self>) -> u32 { n }
/// # }
///
/// explore(0..20, |lab| {
///     let echo = lab.start::<Echo>(());
///     assert_eq!(echo.ask(3).unwrap(), 3);
/// });
/// ```
#[track_caller]
pub fn explore(seeds: impl IntoIterator<Item = u64>, test: impl Fn(&Lab)) {
    let wanted = std::env::var("WEFTWORK_SEED").ok();
    let found = match wanted.and_then(|seed| seed.parse().ok()) {
        None => search(seeds, test),
        Some(seed) => search([seed], |lab| {
            test(lab);
            eprintln!("seed {seed}:\n{}", lab.trace());
        }),
    };
    if let Err(failure) = found {
        panic!("{failure}");
    }
}

/// A seed with which a test fails. Displayed with the trace, and how to replay it.
#[derive(Debug, Clone)]
pub struct Failure {
    seed: u64,
    message: Box<str>,
    trace: Trace,
}

impl Failure {
    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What the panic said.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What had happened until then.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            seed,
            message,
            trace,
        } = self;
        write!(
            f,
            "seed {seed} fails: {message}\n\
             replay it by simulate({seed}, ..), or WEFTWORK_SEED={seed} in the environment of explore\n\
             {trace}"
        )
    }
}

impl Error for Failure {}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => (payload.downcast_ref::<&str>()).map_or("a payload without text", |text| text),
    }
}
