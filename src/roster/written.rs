//! The first stage: a roster as it stands in the file, each value of the right type and with its
//! place, nothing filled in. The documentation of a key is what editors show for it.

use super::env::Env;
use super::sizes::{Memory, Quota, Umask};
use super::valid::{Lifecycle, OnStale, Persona, State, Transport};
use super::words::{Command, Place, Version};
use crate::names::{AgentName, RuntimeName, SessionName, SocketName, TenantId};
use crate::yaml::{Key, Line, List, Map, Problem, Record, Whole, record};

record! {
    /// The definition of one tenant's fleet of agents.
    Roster is "the roster", keys stand "at the top of the roster", others are for elsewhere;
    required {
        /// Version of this format: 1.
        version: Version,
    }
    optional {
        /// Whose fleet it is. Default: the user's name.
        tenant_id: TenantId,
        /// How agents are reached: by a pane of the fleet's own tmux server, or without a terminal
        /// multiplexer.
        #[schemars(extend("default" = "tmux"))]
        transport: Transport,
        /// The fleet's own tmux server.
        tmux: Tmux,
        /// What holds for every agent that does not say otherwise.
        defaults: Defaults,
        /// Settings of built-in runtimes (claude, codex, opencode, pi, dogfood) by name; any other
        /// name defines a runtime of your own and needs `command`.
        runtimes: Map<RuntimeName, Runtime>,
        /// The agents; may be empty.
        agents: List<Agent>,
    }
}

record! {
    /// The fleet's own tmux server, apart from the user's.
    Tmux is "tmux", keys stand "below \"tmux\"", others are for elsewhere;
    required {}
    optional {
        /// The server's name, as for `tmux -L`.
        #[schemars(extend("default" = "mosaic-factory"))]
        socket_name: SocketName,
        /// The session that keeps the server alive; no agent may have its name.
        #[schemars(extend("default" = "_holder"))]
        holder_session: SessionName,
    }
}

record! {
    /// What holds for every agent that does not say otherwise.
    Defaults is "defaults", keys stand "below \"defaults\"", others are for elsewhere;
    required {}
    optional {
        /// Where agents start. Begins with `/`, or with `~/` or `%h/` for the tenant's home.
        #[schemars(extend("default" = "~/src"))]
        working_directory: Place,
        /// The runtime: claude, codex, opencode, pi, dogfood, or one defined below `runtimes`.
        #[schemars(extend("default" = "pi"))]
        runtime: RuntimeName,
        /// `core`: always on. `ephemeral`: per task, never restarted.
        #[schemars(extend("default" = "core"))]
        lifecycle: Lifecycle,
        /// Limits, each by itself overridden by the agent's own.
        limits: Limits,
        /// Variables for every agent; a runtime's and an agent's own win.
        env: Env,
    }
}

record! {
    /// How a runtime is started and recognised.
    Runtime is "a runtime", keys stand "in a runtime", others are for elsewhere;
    required {}
    optional {
        /// Shell line that starts it, in place of `mosaic yolo NAME`.
        command: Command,
        /// What resets a conversation, typed at its prompt.
        reset_command: Line,
        /// The program's file. Begins with `/`, or with `~/` or `%h/` for the tenant's home.
        bin: Place,
        /// Variables for every agent on this runtime; an agent's own win.
        env: Env,
        /// Names under which its process shows, to notice that another program runs.
        process_names: List<Line>,
        /// What stands before text that was typed and not submitted.
        draft_mark: Line,
    }
}

record! {
    /// One agent: a durable address that work passes through.
    Agent is "an agent", keys stand "in an agent", others are for elsewhere;
    required {
        /// Its address: 1 to 63 letters, digits, `_` and `-`, not beginning with `-`.
        name: AgentName,
    }
    optional {
        /// Its runtime. Default: that of `defaults`.
        runtime: RuntimeName,
        /// What it is for: a role of the library, `canary`, or a word of your own.
        #[schemars(extend("examples" = super::roles::classes()))]
        class: Line,
        /// A note for people.
        model_hint: Line,
        /// The model that the runtime is started with.
        model: Line,
        /// The effort that the runtime is started with.
        effort: Line,
        /// Whether its persona outlives a task; `semi`: until a person resets it.
        #[schemars(extend("default" = false))]
        persistent_persona: Persona,
        /// Whether the slot is used again after a reset.
        #[schemars(extend("default" = false))]
        reset_between_tasks: bool,
        /// Where it starts. Begins with `/`, or with `~/` or `%h/` for the tenant's home. Default:
        /// that of `defaults`.
        working_directory: Place,
        /// Its own variables; they win over those of its runtime and of `defaults`.
        env: Env,
        /// Shell line that replaces the launch command; the pane's shell expands it.
        command: Command,
        /// First prompt: a role of the library, or a file by a path that begins with `/`, `~/` or
        /// `%h/`.
        kickstart_template: Line,
        /// `core`: always on. `ephemeral`: per task, never restarted. Default: that of `defaults`.
        lifecycle: Lifecycle,
        /// What an ephemeral worker works for.
        lane: Line,
        /// `stopped`: parked, neither drift nor failure.
        #[schemars(extend("default" = "running"))]
        state: State,
        /// Its own limits, each laid over that of `defaults`.
        limits: Limits,
        /// What happens when heartbeats stop: it is shown, or its unit is restarted.
        #[schemars(extend("default" = "flag"))]
        on_stale: OnStale,
    }
}

record! {
    /// Limits of an agent's cgroup and process.
    Limits is "limits", keys stand "below \"limits\"", others are for elsewhere;
    required {}
    optional {
        /// Memory at which the agent, and it alone, is killed: 512M, 2G, bytes, 50%, infinity.
        memory_max: Memory,
        /// Memory at which the agent is slowed down.
        memory_high: Memory,
        /// Processor time; one processor is 100%.
        cpu_quota: Quota,
        /// How many processes and threads.
        tasks_max: Whole<1, { i64::MAX }>,
        /// How many open files.
        nofile: Whole<1, { i64::MAX }>,
        /// Niceness.
        nice: Whole<-20, 19>,
        /// File mode creation mask, octal with a leading 0: 027, "027" or 0o27.
        umask: Umask,
        /// Whether privileges can no longer be gained, by sudo for one.
        no_new_privs: bool,
    }
}

/// What is said of a key that is known, but not there.
fn elsewhere(key: &Key, here: &str) -> Option<Problem> {
    if key.text == "matrix" {
        return Some(
            Problem::new(key.place, "\"matrix\" is reserved for a later version and cannot be used yet")
                .note("remove it; `transport` is tmux or none"),
        );
    }
    let places: [(&[&str], &str); 6] = [
        (Roster::KEYS, "at the top of the roster"),
        (Tmux::KEYS, "below \"tmux\""),
        (Defaults::KEYS, "below \"defaults\""),
        (Runtime::KEYS, "in a runtime below \"runtimes\""),
        (Agent::KEYS, "in an agent below \"agents\""),
        (Limits::KEYS, "below \"limits\""),
    ];
    let known: Vec<&str> = places
        .iter()
        .filter(|(keys, _)| keys.contains(&key.text.as_str()))
        .map(|(_, place)| *place)
        .collect();
    if known.is_empty() {
        return None;
    }
    Some(
        Problem::new(key.place, format_args!("{:?} does not belong {here}", key.text))
            .note(format_args!("it goes {}", crate::yaml::one_of(known))),
    )
}
