//! The one door to events, health and deliveries.
