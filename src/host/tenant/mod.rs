//! What root does about tenants, and the child through which it does everything that is theirs.
//!
//! Root opens nothing below a folder that a tenant controls and follows no path of theirs: it starts
//! a child, which becomes the tenant before it looks at anything.

pub mod accounts;
pub mod child;
pub mod drop;
pub mod ends;
pub mod home;
pub mod make;
pub mod numbers;
pub mod rest;
pub mod sound;
pub mod store;
pub mod subids;
pub mod system;
