//! claude, codex and opencode, the real programs, as agents of a fleet in a booted system, with a model's server beside
//! them: messages by what their screens show. Too large to install for every change: `./check --long`.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/runtimes.rs"]
mod runtimes;

use std::fs;
use std::path::Path;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT};
use runtimes::{Model, installed, model_script};
use serde_json::Value;

const ROSTER: &str = "
version: 1
defaults: {working_directory: /home/demo/work}
agents:
  - {name: claude0, runtime: claude, model: test}
  - {name: codex0, runtime: codex, model: test}
  - {name: opencode0, runtime: opencode, model: test/test-1}
";
/// What their users have: no login, but a provider on loopback, and nothing left to be asked at the first start.
const OWN_FILES: [(&str, &str); 7] = [
    (".config/mosaic/fleet/agents/claude0.local.env", CLAUDE),
    (".config/mosaic/fleet/agents/codex0.local.env", "TEST_KEY=none\n"),
    (".config/mosaic/fleet/agents/opencode0.local.env", OPENCODE),
    (
        ".claude.json",
        r#"{"hasCompletedOnboarding": true, "bypassPermissionsModeAccepted": true,
            "customApiKeyResponses": {"approved": ["-none-at-all-0123456"], "rejected": []},
            "projects": {"/home/demo/work": {"hasTrustDialogAccepted": true}}}"#,
    ),
    (".claude/settings.json", r#"{"skipDangerousModePermissionPrompt": true}"#),
    (
        ".codex/config.toml",
        "model_provider = \"test\"\ncheck_for_update_on_startup = false\n[model_providers.test]\nname = \"test\"\n\
         base_url = \"http://127.0.0.1:18080/v1\"\nwire_api = \"responses\"\nenv_key = \"TEST_KEY\"\n\
         requires_openai_auth = false\n[projects.\"/home/demo/work\"]\ntrust_level = \"trusted\"\n",
    ),
    (
        ".config/opencode/opencode.json",
        r#"{"model": "test/test-1", "small_model": "test/test-1", "autoupdate": false, "provider": {"test":
            {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": "http://127.0.0.1:18080/v1", "apiKey": "none"},
            "models": {"test-1": {}}}}}"#,
    ),
];
const CLAUDE: &str = "ANTHROPIC_BASE_URL=http://127.0.0.1:18080\nANTHROPIC_API_KEY=there-is-none-at-all-0123456\n\
                      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1\nDISABLE_AUTOUPDATER=1\n";
const OPENCODE: &str =
    "OPENCODE_DISABLE_AUTOUPDATE=1\nOPENCODE_DISABLE_MODELS_FETCH=1\nOPENCODE_DISABLE_LSP_DOWNLOAD=1\n";

struct Three {
    fleet: Fleet,
    _model: Model,
}

impl Three {
    fn boot(installed: &[&Path]) -> Self {
        let fleet = Fleet::tenant_seeing(Suite::Bookworm, installed);
        fleet.run(&["mkdir", "-p", ".local/bin", "work"]).ok();
        let seen = |folder: &Path| format!("/srv/{}", folder.file_name().expect("a name").to_string_lossy());
        for folder in installed {
            fleet.run(&["sh", "-c", &format!("ln -sf {}/bin/* ~/.local/bin", seen(folder))]).ok();
        }
        for (file, text) in OWN_FILES {
            fleet.rig.write(&format!("/home/{TENANT}/{file}"), text, TENANT);
        }
        fleet.rig.write("/var/lib/model/llm.mjs", fs::read(model_script()).expect("the script"), "root");
        let node = format!("{}/bin/node", seen(installed[0]));
        let argv = [&node, "/var/lib/model/llm.mjs", "18080", "/var/lib/model/log"];
        let model = Model::start(&mut fleet.rig.as_user_command("root", &argv));
        Self { fleet, _model: model }
    }

    /// In how many requests a prompt holds this; each makes a second one for a title.
    fn asked(&self, text: &str) -> usize {
        self.fleet.rig.root(&["cat", "/var/lib/model/log"]).stdout.matches(text).count()
    }

    fn screen(&self, agent: &str) -> String {
        let target = format!("={agent}:");
        self.fleet.run(&["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", &target]).ok()
    }

    fn keys(&self, agent: &str, keys: &[&str]) {
        let target = format!("={agent}:");
        let argv = [&["tmux", "-L", "mosaic-factory", "send-keys", "-t", &target], keys].concat();
        self.fleet.run(&argv).ok();
    }
}

#[test]
#[ignore = "installs more than a gigabyte"]
fn the_first_message_of_a_session_is_taken_and_a_draft_is_left_alone() {
    if Rig::skipped() {
        return;
    }
    let names = ["claude", "codex", "opencode"];
    let folders: Vec<_> = names.iter().filter_map(|name| installed(name)).collect();
    let [claude, codex, opencode] = &folders[..] else { return };
    let three = Three::boot(&[claude, codex, opencode]);
    three.fleet.apply(ROSTER);
    for agent in ["claude0", "codex0", "opencode0"] {
        for round in 0..5 {
            if round > 0 {
                three.fleet.run(&["fleet", "restart", agent]).ok();
            }
            let text = format!("first of round {round}\nfor {agent}");
            let argv = ["mosaic", "agent", "send", agent, "--message", &text, "--verify", "--json"];
            let sent = three.fleet.run(&argv);
            let receipt: Value = serde_json::from_str(&sent.stdout).unwrap_or_default();
            let screen = three.screen(agent);
            assert!(sent.code == 0 && receipt["state"] == "submitted", "{}\n{screen}", sent.report());
            let asked = format!("first of round {round}\\nfor {agent}");
            three.fleet.rig.wait_until("the model is asked", SOON, || three.asked(&asked) >= 1);
        }
        three.keys(agent, &["-l", "a draft of mine"]);
        let there = || three.screen(agent).contains("a draft of mine");
        three.fleet.rig.wait_until("a draft stands there", SOON, there);
        let held = three.fleet.run(&["mosaic", "agent", "send", agent, "--message", "hello", "--verify"]);
        assert!(held.code == 1 && held.stderr.contains("draft"), "{}", held.report());
        assert!(there(), "as it was");
        three.keys(agent, &["C-c"]);
        three.fleet.rig.wait_until("it is cleared", SOON, || !there());
        let pid = three.fleet.pane(agent);
        three.fleet.run(&["mosaic", "agent", "reset", agent]).ok();
        assert_eq!(three.fleet.pane(agent), pid, "reset by its command, not by a restart");
    }
    let drift = three.fleet.run(&["fleet", "ps"]).ok();
    assert!(!drift.contains("DRIFT"), "{drift}");
    assert!(three.fleet.rig.path().join(&MOSAIC[1..]).join("fleet/run/claude0.receipt").exists());
}
