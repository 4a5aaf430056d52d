//! Claims about backups: taken whole or not at all, proven by a copy, and restored.

mod faults;
mod guide;
mod keeping;
mod proving;
mod restoring;
mod script;
mod taking;
