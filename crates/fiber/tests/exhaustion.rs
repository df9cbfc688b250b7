//! Address space that is used up. Alone in its process, for it limits what the process may have.

// Checkers keep a shadow of all memory, and need more address space than there is to limit.
#![cfg(not(any(weftwork_asan, weftwork_tsan, weftwork_valgrind)))]

use weftwork_fiber::{SizeClass, StackError, StackPool};

const GIB: usize = 1 << 30;

/// Limits the address space of this process. Returns whether that has an effect: emulators accept a
/// limit without keeping to it.
fn limit_address_space(bytes: usize) -> bool {
    let limit = libc::rlimit {
        rlim_cur: bytes as libc::rlim_t,
        rlim_max: bytes as libc::rlim_t,
    };
    // SAFETY: the limit may be read; the mapping is new, and not used.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let mapping = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
        if mapping == libc::MAP_FAILED {
            return true;
        }
        libc::munmap(mapping, bytes);
        false
    }
}

#[test]
fn exhausted_address_space_is_an_error_and_loses_nothing() {
    let pool = StackPool::default();
    let class = SizeClass::at_least(GIB / 2).expect("a class");
    let early = pool.allocate(class).expect("no limit yet");
    if !limit_address_space(6 * GIB) {
        println!("the limit has no effect here: there is nothing to exhaust");
        return;
    }
    let mut stacks = Vec::new();
    let error = loop {
        match pool.allocate(class) {
            Ok(stack) => stacks.push(stack),
            Err(error) => break error,
        }
        assert!(stacks.len() < 6, "there is no end of address space");
    };
    assert!(matches!(error, StackError::Kernel(_)), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("the kernel refused a stack: "),
        "{error}"
    );
    assert_eq!(pool.stats().in_use, stacks.len() + 1);
    assert_eq!(pool.stats().slabs, stacks.len() + 1);

    // What is given back can be had again, and other sizes are not affected.
    let top = early.top();
    drop(early);
    assert_eq!(pool.allocate(class).expect("one was given back").top(), top);
    let small = pool
        .allocate(SizeClass::KIB_64)
        .expect("a slab of the usual size fits");
    assert!(small.usable() >= 47 * 1024);
}
