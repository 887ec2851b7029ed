//! The door to the machine: the only place with effects.
//!
//! One outside program or interface, one file. What is read is parsed by pure functions beside it.

pub mod above;
pub mod account;
pub mod ancestry;
pub mod bell;
pub mod boot;
pub mod cgroup;
pub mod changes;
pub mod clock;
pub mod command;
pub mod declared;
pub mod doctor;
pub mod ending;
pub mod files;
pub mod follow;
pub mod gather;
pub mod input;
pub mod interrupt;
pub mod journal;
pub mod kernel;
pub mod live;
pub mod lock;
pub mod logind;
pub mod look;
pub mod mounts;
pub mod parking;
pub mod probe;
pub mod process;
pub mod programs;
pub mod queue;
pub mod receipts;
pub mod runfiles;
pub mod sender;
pub mod site;
pub mod skills;
pub mod stand_ins;
pub mod systemd;
pub mod tenant;
pub mod terminal;
pub mod tmux;
pub mod tree;
pub mod unit_files;
pub mod users;
pub mod viewer;
pub mod wants;
