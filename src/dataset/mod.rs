//! What a data set is, and the SQL that moves its rows.
