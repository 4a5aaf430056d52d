//! The integration tests, one binary: claims about Sexton, held against real parts.
