//! The way to a registry of the user's own.

use crate::pid::Pid;
use crate::reason::Reason;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Keeps names for actors: what [`Options::register`](crate::Options::register) takes (OTP's `via`).
///
/// [`Registry`](super::Registry) and [`DuplicateRegistry`](super::DuplicateRegistry) are two; this is how
/// others are brought in. The methods are called without any lock held, by whoever starts the actor, and at
/// its end by its own task; they should not wait for long.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use weftwork_actor::registry::{RegisterError, Via};
/// use weftwork_actor::{Options, Pid, start};
/// # use weftwork_actor::{Actor, Context, InitError};
/// # struct Leader;
/// # impl Actor for Leader {
/// #     type Args = ();
/// #     fn init(_: (), _: &mut Context<Self>) -> Result<Self, InitError> { Ok(Leader) }
/// # }
/// # let rt = weftwork_sched::Runtime::builder().workers(1).build()?;
///
/// /// There is one place, whatever the name.
/// #[derive(Default)]
/// struct Seat(Mutex<Option<Pid>>);
///
/// impl Via for Seat {
///     fn register(&self, _: &Arc<str>, pid: &Pid) -> Result<(), RegisterError> {
///         let mut seat = self.0.lock().unwrap();
///         match &*seat {
///             Some(holder) if holder.is_alive() => Err(RegisterError::Taken(holder.clone())),
///             _ => Ok(*seat = Some(pid.clone())),
///         }
///     }
///     fn unregister(&self, _: &str, pid: &Pid) {
///         self.0.lock().unwrap().take_if(|holder| holder == pid);
///     }
///     fn whereis(&self, _: &str) -> Option<Pid> {
///         self.0.lock().unwrap().clone().filter(Pid::is_alive)
///     }
/// }
///
/// let seat = Arc::new(Seat::default());
/// let leader = start::<Leader>(rt.handle(), (), Options::new().register(seat.clone(), "leader"))?;
/// assert_eq!(seat.whereis("anything"), Some(leader.pid()));
/// # leader.kill();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Via: Send + Sync + 'static {
    /// Gives `name` to an actor, which has not run yet.
    ///
    /// # Errors
    /// It does not get the name. The actor is not started.
    fn register(&self, name: &Arc<str>, pid: &Pid) -> Result<(), RegisterError>;

    /// Takes `name` from the actor, which has ended. Called once for each name that was registered at a
    /// start; a panic in here is lost.
    fn unregister(&self, name: &str, pid: &Pid);

    /// Finds who has `name`.
    fn whereis(&self, name: &str) -> Option<Pid>;
}

impl<V: Via + ?Sized> Via for Arc<V> {
    fn register(&self, name: &Arc<str>, pid: &Pid) -> Result<(), RegisterError> {
        (**self).register(name, pid)
    }

    fn unregister(&self, name: &str, pid: &Pid) {
        (**self).unregister(name, pid);
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        (**self).whereis(name)
    }
}

/// A name was not registered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another actor has it, or the same one: here is who.
    Taken(Pid),
    /// The actor that was to have it has ended.
    Dead,
    /// The registry wants it otherwise.
    Refused(Reason),
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterError::Taken(holder) => write!(f, "name is taken by {holder}"),
            RegisterError::Dead => f.write_str("actor has ended"),
            RegisterError::Refused(reason) => write!(f, "registry refused the name: {reason}"),
        }
    }
}

impl Error for RegisterError {}
