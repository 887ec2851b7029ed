//! The runtimes: what each needs to be launched and how it is recognised. Pure but for `dogfood`,
//! which is a runtime itself.

pub mod dogfood;
pub mod identity;
