//! What root declares for a tenant holds at once, over all its agents, and over no other tenant's.

use std::time::Instant;

use crate::bench::{Bench, OTHER, on_both_trees};
use crate::fleet::TENANT;
use crate::{bench, disk};

/// How many processes and threads the tenant may have.
const TASKS: usize = 90;
/// Takes every process that it can get, and each that becomes free.
const FILL: &str = "import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
    except OSError:
        time.sleep(0.01)
";

#[test]
fn a_tenant_over_its_limits_hits_its_own_agents_and_no_other_tenant() {
    on_both_trees(|bench| {
        let (fleet, rig) = (&bench.fleet, &bench.fleet.rig);
        limited(bench, &format!("memory_max: 160M, tasks_max: {TASKS}"));
        // A file and a reload are not enough: systemd 257 tells the kernel nothing of them while the slice runs.
        assert_eq!(of_kernel(bench, "pids.max"), TASKS.to_string());
        assert_eq!(of_kernel(bench, "memory.max"), (160 << 20).to_string());

        // An agent without limits of its own takes more than the tenant has.
        let first = bench.pane("greedy");
        let kills = || bench::number(&of_kernel(bench, "memory.events"), "oom_kill ");
        let (before, begun) = (kills(), Instant::now());
        bench.keys("greedy", "'/fault memory:400' Enter");
        bench.until("the kill is shown", || bench.row("greedy")["flags"].to_string().contains("OOM"));
        let noticed = begun.elapsed();
        assert!(kills() > before, "it was the tenant's limit");
        bench.until("its agent is back", || {
            fleet.pane("greedy").is_some_and(|pane| pane != first) && bench::is_healthy(&bench.row("greedy"))
        });
        let well = begun.elapsed();

        // More processes than the tenant may have: refused to it alone.
        let many = ["sh", "-c", &format!("for n in $(seq {}); do sleep 20 & done", TASKS + 20)];
        let refused = rig.login(TENANT, &many);
        assert!(refused.code != 0 && refused.stderr.contains("Cannot fork"), "{}", refused.report());
        rig.login(OTHER, &many).ok();
        one_that_is_at_its_limit_is_named_and_holds_nobody_up(bench);

        limited(bench, "");
        assert_eq!(of_kernel(bench, "memory.max"), "max");
        bench.note("a tenant over its own limits", Some(noticed), Some(well));
    });
}

#[test]
fn a_tenants_share_of_the_processor_is_that_of_all_its_agents_together() {
    on_both_trees(|bench| {
        limited(bench, "cpu_quota: 30%");
        assert_eq!(of_kernel(bench, "cpu.max"), "30000 100000");
        let busy = ["hot", "hotter"];
        busy.iter().for_each(|agent| bench.keys(agent, "Enter"));
        let all = ["timeout", "600", "sh", "-c", "while :; do :; done"];
        let mut other = bench.fleet.rig.login_command(OTHER, &all).spawn().expect("started");
        let uid = bench.fleet.rig.root_ok(&["id", "-u", OTHER]);
        let others = format!("/user.slice/user-{}.slice", uid.trim());
        let groups = [slice(bench), others, bench.group("hot"), bench.group("hotter")];
        let groups = groups.each_ref().map(String::as_str);
        bench.until("all are at it", || bench.shares(&groups)[1..].iter().all(|share| *share > 0.02));

        let shares = bench.shares(&groups);
        other.kill().expect("it runs");
        other.wait().expect("it has ended");
        bench.fleet.run(&["fleet", "restart", "hot", "hotter"]).ok();
        let [tenant, other, hot, hotter] = shares[..] else { panic!("{shares:?}") };
        assert!((0.22..0.36).contains(&tenant), "30 % was allowed to all of them: {shares:.3?}");
        assert!(hot > 0.05 && hotter > 0.05, "each gets a part of it: {shares:.3?}");
        assert!(other > 0.5, "the other tenant gets what is left: {shares:.3?}");

        limited(bench, "");
        assert_eq!(of_kernel(bench, "cpu.max"), "max 100000");
    });
}

/// An apply while all that the tenant may have is taken, and taken again as soon as something ends.
fn one_that_is_at_its_limit_is_named_and_holds_nobody_up(bench: &Bench) {
    let rig = &bench.fleet.rig;
    disk::declare(rig, OTHER, "roster: {version: 1, agents: [{name: one, command: sleep 80001}]}");
    rig.write("/home/demo/fill.py", FILL, TENANT);
    let mut filling = rig.login_command(TENANT, &["python3", "/home/demo/fill.py"]).spawn().expect("started");
    bench.until("all is taken", || of_kernel(bench, "pids.current") == TASKS.to_string());
    let run = rig.root(&["fleet", "tenant", "apply", OTHER, TENANT, "--json"]);
    let told = disk::tenants_of(&run.stdout);
    rig.root_ok(&["pkill", "-KILL", "-f", "fill.p[y]"]);
    // How the session ended does not matter.
    let _ = filling.wait();
    assert_eq!(told[OTHER]["ok"], true, "{told:#}");
    assert!(!rig.root_ok(&["pgrep", "-u", OTHER, "-f", "^sleep 80001"]).is_empty());
    let message = told[TENANT]["error"]["message"].as_str().expect("an error");
    assert!(message.contains("may start no more processes or threads (tasks_max"), "{told:#}");
    assert!(told[TENANT]["error"]["hints"].to_string().contains("raise tasks_max"), "{told:#}");
    assert!(told[TENANT]["seconds"].as_f64().expect("a number") < 60.0, "{told:#}");
}

/// Has root declare these limits, and no others, for the tenant.
fn limited(bench: &Bench, limits: &str) {
    disk::declare(&bench.fleet.rig, TENANT, &format!("limits: {{{limits}}}"));
    bench.fleet.rig.root_ok(&["fleet", "tenant", "apply", TENANT]);
}

fn slice(bench: &Bench) -> String {
    format!("/user.slice/user-{}.slice", bench.fleet.uid)
}

/// A file of the tenant's control group.
fn of_kernel(bench: &Bench, file: &str) -> String {
    let path = format!("/sys/fs/cgroup{}/{file}", slice(bench));
    bench.fleet.rig.read(&path).trim().to_owned()
}
