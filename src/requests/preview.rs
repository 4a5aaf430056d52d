//! What is to come: slots with all that touches them, and a week's collisions.

pub mod heat;
