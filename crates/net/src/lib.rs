//! Standard-library-shaped sockets for green threads, OS threads and futures.
