//! Every classic concurrency model on one runtime.
