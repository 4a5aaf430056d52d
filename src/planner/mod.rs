//! Gives every slot its one decision.
