//! `send-message.sh` and `agent-send.sh` as people's scripts call them: on real tmux servers of
//! their own, and through a real sshd on loopback to a host that has bash, tmux and base64 alone.

mod delivered;
mod place;
#[path = "../common/program.rs"]
mod program;
mod refused;
mod ssh;
