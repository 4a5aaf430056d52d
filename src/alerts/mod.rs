//! Decides from events who is told what, and delivers it.
