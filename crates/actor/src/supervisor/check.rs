//! Which supervisors are impossible.

use super::id::ChildId;
use super::rules::{AutoShutdown, Flags, Restart, Rules, Strategy};
use std::collections::HashSet;
use std::error::Error;
use std::fmt;

/// A supervisor or a child that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// The period in which restarts are counted is zero.
    NoPeriod,
    /// Two children have this id.
    DuplicateId(ChildId),
    /// A significant child under a supervisor that never stops by itself: its end would say nothing.
    SignificantForNothing(Option<ChildId>),
    /// A significant child that is permanent: it never ends by itself.
    SignificantPermanent(Option<ChildId>),
    /// A dynamic supervisor that stops by itself: its children are all alike, none is significant.
    DynamicAutoShutdown,
    /// A dynamic supervisor was given children to begin with, or a child with an id.
    DynamicWithId(ChildId),
    /// A child without an id under a supervisor that is not dynamic.
    NoId,
    /// More children than `max_children`.
    TooManyChildren,
    /// A back-off whose minimum is above its maximum, or whose jitter is not between 0 and 1.
    Backoff(Option<ChildId>),
    /// The period of a child's limit is zero.
    NoLimitPeriod(Option<ChildId>),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |f: &mut fmt::Formatter<'_>, id: &Option<ChildId>, text: &str| match id {
            Some(id) => write!(f, "child {id} {text}"),
            None => write!(f, "child {text}"),
        };
        match self {
            SpecError::NoPeriod => f.write_str("period of restarts is zero"),
            SpecError::DuplicateId(id) => write!(f, "two children are named {id}"),
            SpecError::SignificantForNothing(id) => of(
                f,
                id,
                "is significant, but the supervisor never stops by itself",
            ),
            SpecError::SignificantPermanent(id) => of(f, id, "is significant and permanent"),
            SpecError::DynamicAutoShutdown => {
                f.write_str("dynamic supervisor cannot stop by itself")
            }
            SpecError::DynamicWithId(id) => {
                write!(f, "dynamic supervisor has no place for a child named {id}")
            }
            SpecError::NoId => f.write_str("child has no id"),
            SpecError::TooManyChildren => f.write_str("more children than the maximum"),
            SpecError::Backoff(id) => of(f, id, "has an impossible back-off"),
            SpecError::NoLimitPeriod(id) => of(f, id, "has a limit without a period"),
        }
    }
}

impl Error for SpecError {}

/// Checks a supervisor.
pub(crate) fn flags(flags: &Flags) -> Result<(), SpecError> {
    if flags.period.is_zero() {
        return Err(SpecError::NoPeriod);
    }
    if flags.strategy == Strategy::Dynamic && flags.auto_shutdown != AutoShutdown::Never {
        return Err(SpecError::DynamicAutoShutdown);
    }
    Ok(())
}

/// Checks one child.
pub(crate) fn child(flags: &Flags, id: Option<&ChildId>, rules: &Rules) -> Result<(), SpecError> {
    let id = id.cloned();
    match (&id, flags.strategy) {
        (Some(id), Strategy::Dynamic) => return Err(SpecError::DynamicWithId(id.clone())),
        (None, Strategy::OneForOne | Strategy::OneForAll | Strategy::RestForOne) => {
            return Err(SpecError::NoId);
        }
        _ => {}
    }
    if rules.significant {
        if flags.auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantForNothing(id));
        }
        if rules.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent(id));
        }
    }
    if rules.backoff.is_some_and(|backoff| !backoff.is_possible()) {
        return Err(SpecError::Backoff(id));
    }
    if rules.limit.is_some_and(|limit| limit.period.is_zero()) {
        return Err(SpecError::NoLimitPeriod(id));
    }
    Ok(())
}

/// Checks a supervisor and the children that it begins with.
pub(crate) fn all<'a>(
    with: &Flags,
    children: impl IntoIterator<Item = (Option<&'a ChildId>, &'a Rules)>,
) -> Result<(), SpecError> {
    flags(with)?;
    let mut ids = HashSet::new();
    let mut count = 0;
    for (id, rules) in children {
        child(with, id, rules)?;
        if let Some(id) = id
            && !ids.insert(id)
        {
            return Err(SpecError::DuplicateId(id.clone()));
        }
        count += 1;
    }
    if count > with.max_children {
        return Err(SpecError::TooManyChildren);
    }
    Ok(())
}

#[cfg(all(test, not(weftwork_loom)))]
mod tests {
    use super::super::backoff::Backoff;
    use super::super::rules::Limit;
    use super::*;
    use std::time::Duration;

    fn id(text: &str) -> ChildId {
        text.into()
    }

    #[test]
    fn otps_defaults_are_possible() {
        let flags = Flags::default();
        assert_eq!(
            (
                flags.strategy,
                flags.intensity,
                flags.period,
                flags.auto_shutdown
            ),
            (
                Strategy::OneForOne,
                1,
                Duration::from_secs(5),
                AutoShutdown::Never
            )
        );
        let (a, b, rules) = (id("a"), id("b"), Rules::new());
        assert_eq!(
            all(&flags, [(Some(&a), &rules), (Some(&b), &rules)]),
            Ok(())
        );
        assert_eq!(all(&flags, []), Ok(()));
    }

    #[test]
    fn a_period_of_zero_is_impossible_and_an_intensity_of_zero_is_not() {
        let zero = Flags {
            period: Duration::ZERO,
            ..Flags::default()
        };
        assert_eq!(all(&zero, []), Err(SpecError::NoPeriod));
        let none = Flags {
            intensity: 0,
            ..Flags::default()
        };
        assert_eq!(all(&none, []), Ok(()));
    }

    #[test]
    fn two_children_of_one_id_are_impossible() {
        let (a, rules) = (id("a"), Rules::new());
        let children = [(Some(&a), &rules), (Some(&a), &rules)];
        let error = SpecError::DuplicateId(a.clone());
        assert_eq!(all(&Flags::default(), children), Err(error));
    }

    #[test]
    fn a_significant_child_needs_auto_shutdown_and_must_not_be_permanent() {
        let a = id("a");
        let rules = Rules::new().restart(Restart::Transient).significant();
        let error = SpecError::SignificantForNothing(Some(a.clone()));
        assert_eq!(child(&Flags::default(), Some(&a), &rules), Err(error));
        let any = Flags {
            auto_shutdown: AutoShutdown::AnySignificant,
            ..Flags::default()
        };
        assert_eq!(child(&any, Some(&a), &rules), Ok(()));
        let permanent = rules.restart(Restart::Permanent);
        let error = SpecError::SignificantPermanent(Some(a.clone()));
        assert_eq!(child(&any, Some(&a), &permanent), Err(error));
    }

    #[test]
    fn a_dynamic_supervisor_has_neither_ids_nor_an_end_by_itself() {
        let dynamic = Flags {
            strategy: Strategy::Dynamic,
            ..Flags::default()
        };
        let (a, rules) = (id("a"), Rules::new());
        let error = SpecError::DynamicWithId(a.clone());
        assert_eq!(all(&dynamic, [(Some(&a), &rules)]), Err(error));
        assert_eq!(all(&dynamic, [(None, &rules)]), Ok(()));
        assert_eq!(
            all(&Flags::default(), [(None, &rules)]),
            Err(SpecError::NoId)
        );
        let all_significant = Flags {
            auto_shutdown: AutoShutdown::AllSignificant,
            ..dynamic
        };
        assert_eq!(
            all(&all_significant, []),
            Err(SpecError::DynamicAutoShutdown)
        );
    }

    #[test]
    fn impossible_extras_are_found() {
        let (a, ms) = (id("a"), Duration::from_millis(1));
        let backoff = Rules::new().backoff(Backoff::new(2 * ms, ms));
        let error = SpecError::Backoff(Some(a.clone()));
        assert_eq!(child(&Flags::default(), Some(&a), &backoff), Err(error));
        let limit = Rules::new().limit(Limit::new(1, Duration::ZERO));
        let error = SpecError::NoLimitPeriod(Some(a.clone()));
        assert_eq!(child(&Flags::default(), Some(&a), &limit), Err(error));
        let one = Flags {
            max_children: 1,
            ..Flags::default()
        };
        let (b, rules) = (id("b"), Rules::new());
        let children = [(Some(&a), &rules), (Some(&b), &rules)];
        assert_eq!(all(&one, children), Err(SpecError::TooManyChildren));
    }
}
