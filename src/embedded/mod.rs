//! A private PostgreSQL cluster: for the demo, the tests, one node, and the proof of backups.
