//! An M:N work-stealing runtime of green threads and futures.
