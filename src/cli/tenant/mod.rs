//! Tenants: what root does for all of them, and what the child does that has become one.

pub mod all;
pub mod inside;
mod parallel;
mod seen;
