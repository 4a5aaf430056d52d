//! The command line: parses and asks.
