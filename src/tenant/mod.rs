//! Tenants as root sees them: what is said between root and a child that has become a tenant.
//!
//! Pure: who they are is found out, and what is done to them is done, elsewhere.

pub mod wire;
pub mod words;
