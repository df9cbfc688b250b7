//! How often a test repeats its body.

/// Picks how many times a test repeats its body, by what the test runs on.
///
/// * Under valgrind (`cfg(weftwork_valgrind)`), where a step costs some fifty times more: `valgrind`.
/// * Under AddressSanitizer (`cfg(weftwork_asan)`), or where the environment variable `CI` is set:
///   `ci`.
/// * Otherwise, on a developer's machine: `full`.
///
/// `WEFTWORK_ITERS` scales the pick: `WEFTWORK_ITERS=20` soaks for twenty times as long,
/// `WEFTWORK_ITERS=0.1` is a tenth of it. At least one iteration is always left.
///
/// ```
/// let rounds = weftwork_testkit::iters(100_000, 10_000, 200);
/// assert!(rounds >= 1);
/// ```
///
/// # Panics
///
/// If `WEFTWORK_ITERS` is not a positive number: a soak that silently ran once would be believed.
#[must_use]
pub fn iters(full: usize, ci: usize, valgrind: usize) -> usize {
    let count = pick(
        cfg!(weftwork_valgrind),
        cfg!(weftwork_asan) || std::env::var_os("CI").is_some(),
        [full, ci, valgrind],
    );
    match std::env::var("WEFTWORK_ITERS") {
        Ok(factor) => scale(count, &factor),
        Err(_) => count.max(1),
    }
}

fn pick(valgrind: bool, ci: bool, [full, short, shortest]: [usize; 3]) -> usize {
    if valgrind {
        shortest
    } else if ci {
        short
    } else {
        full
    }
}

fn scale(count: usize, factor: &str) -> usize {
    match factor.trim().parse::<f64>() {
        // The cast saturates, which is what a soak of "1e30" means.
        Ok(f) if f.is_finite() && f > 0.0 => ((count as f64 * f) as usize).max(1),
        _ => panic!("WEFTWORK_ITERS must be a positive number, but it is {factor:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{pick, scale};

    #[test]
    fn valgrind_beats_ci_and_ci_beats_a_laptop() {
        assert_eq!(pick(true, true, [3, 2, 1]), 1);
        assert_eq!(pick(false, true, [3, 2, 1]), 2);
        assert_eq!(pick(false, false, [3, 2, 1]), 3);
    }

    #[test]
    fn a_scale_multiplies_and_leaves_at_least_one() {
        assert_eq!(scale(100, "20"), 2_000);
        assert_eq!(scale(100, "0.1"), 10);
        assert_eq!(scale(3, "0.01"), 1);
        assert_eq!(scale(3, "1e300"), usize::MAX);
    }

    #[test]
    fn a_scale_that_is_no_positive_number_is_refused() {
        for bad in ["", "fast", "0", "-1", "NaN", "inf"] {
            let refused = std::panic::catch_unwind(|| scale(10, bad));
            assert!(refused.is_err(), "{bad:?} was accepted");
        }
    }
}
