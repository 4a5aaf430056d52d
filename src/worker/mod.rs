//! Claims runs, does them under guard, and settles them.
