//! `sexton.toml`: what one daemon is, read once.
