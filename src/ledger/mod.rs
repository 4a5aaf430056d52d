//! The one door to revisions, schedules and slots.
