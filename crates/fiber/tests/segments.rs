//! Segments come from the global pool and go back to it. Alone in its process, for it counts them.

use std::panic;

use weftwork_fiber::{StackPool, grow};

#[test]
fn a_segment_is_given_back_when_its_call_ends() {
    let pool = StackPool::global();
    for _ in 0..3 {
        grow(usize::MAX, 1 << 20, || {
            assert_eq!(pool.stats().in_use, 1);
            grow(usize::MAX, 1 << 20, || assert_eq!(pool.stats().in_use, 2));
            assert_eq!(pool.stats().in_use, 1);
        });
        assert_eq!(pool.stats().in_use, 0);
    }
    let result = panic::catch_unwind(|| {
        grow(usize::MAX, 1 << 20, || panic::resume_unwind(Box::new(())));
    });
    assert!(result.is_err());
    assert_eq!(pool.stats().in_use, 0);
    assert_eq!(pool.stats().hot, 2);
}
