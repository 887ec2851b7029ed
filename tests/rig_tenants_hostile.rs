//! A hostile tenant, in a booted system: whatever it does to its own home, manager and bus, root's apply
//! says so within a bound, touches nothing outside of that home, and provisions the others.

#[path = "common/tenants.rs"]
mod tenants;

use std::time::{Duration, Instant};

use serde_json::Value;
use tenants::rig::{Rig, Suite};
use tenants::{SOON, boot, json, tenant, uid};

/// What an apply of a hostile tenant and a good one may take, on a machine that does much else.
const BOUND: Duration = Duration::from_secs(60);

const ROSTER: &str = "roster:\n  version: 1\n  agents: [{name: coder, command: sleep 100000}]\n";

/// Mounts a file system that never answers.
const HANG: &str = include_str!("common/hang.py");

/// Exchanges folders for links and back, all the time.
const SWAP: &str = include_str!("common/swap.py");

/// What only a tenant that harms others would change: files of everybody else, some of them open to all,
/// also where a time was set back; and for the bait when it was last read.
const OUTSIDE: &str = "find /srv/bait /home/good /root /usr/local /etc /var/spool /opt /mnt \
    -not -path '/home/good/.config/mosaic/fleet/run*' \
    -printf '%p %y %m %U:%G %s %T@ %l\\n' -printf '%p was changed %C@\\n' | sort; \
    find /srv/bait -type f -printf '%p was read %A@\\n' | sort";

/// The rest of the machine, but for what is the tenants' own and what the system itself writes all the time: its
/// journal, its managers' state, and what root keeps of tenants.
const ELSEWHERE: &str = "find / -xdev '(' -path /proc -o -path /sys -o -path /home -o -path /srv \
    -o -path /var/log -o -path /var/lib/systemd -o -path /var/lib/mosaic -o -path /etc -o -path /tmp \
    -o -path /run ')' -prune -o -printf '%p %y %m %U:%G %s %T@ %C@ %l\\n' | sort; \
    for folder in /tmp /var/tmp /run /dev/shm; do \
    find $folder '(' -path '/run/user/*' -o -path /run/systemd -o -path /run/log -o -path /run/utmp \
    -o -path /run/rig -o -path '/tmp/tmux-*' -o -path '/tmp/systemd-private-*' ')' \
    -prune -o -not -type d -printf '%p %y %m %U:%G %s %T@ %C@ %l\\n'; done | sort";

/// The lines that only one of them has.
fn difference(one: &str, other: &str) -> Vec<String> {
    let only = |a: &str, b: &str| -> Vec<String> {
        let there: std::collections::BTreeSet<&str> = b.lines().collect();
        a.lines().filter(|line| !there.contains(line)).map(str::to_owned).collect()
    };
    [only(one, other), only(other, one)].concat()
}

struct Machine {
    rig: Rig,
}

impl Machine {
    fn new(suite: Suite) -> Self {
        let rig = boot(suite);
        for name in ["evil", "good"] {
            rig.root_ok(&["fleet", "tenant", "add", name]);
            let write = "cat >>/etc/mosaic/tenants.d/$1.yaml";
            rig.as_user_with("root", &["sh", "-c", write, "sh", name], ROSTER.as_bytes()).ok();
        }
        rig.root_ok(&["fleet", "tenant", "apply"]);
        let bait = "mkdir -p /srv/bait/open && chmod 0755 /srv/bait && chmod 0777 /srv/bait/open && \
            echo bait >/srv/bait/file && echo bait >/srv/bait/open/file && chmod 0666 /srv/bait/open/file && \
            ln /srv/bait/open/file /srv/bait/open/hard && \
            find /srv/bait -exec touch -a -d 2001-01-01 {} +";
        rig.root_ok(&["sh", "-c", bait]);
        Self { rig }
    }

    fn outside(&self) -> String {
        self.rig.root_ok(&["sh", "-c", OUTSIDE])
    }

    fn elsewhere(&self) -> String {
        self.rig.root_ok(&["sh", "-c", ELSEWHERE])
    }

    /// Puts a file system at the hostile tenant's home that answers nobody but `answers`.
    fn hang_but_for(&self, answers: &str) {
        let rig = &self.rig;
        rig.write("/root/hang.py", HANG, "root");
        let serve = ["systemd-run", "-q", "--unit=hang", "python3", "/root/hang.py", "/home/evil"];
        rig.root_ok(&[&serve[..], &[&uid(rig, "evil").to_string(), answers]].concat());
        rig.wait_until("it is mounted", SOON, || rig.read("/proc/mounts").contains("hang /home/evil fuse"));
    }

    fn hang_no_more(&self) {
        self.rig.root_ok(&["sh", "-c", "systemctl stop hang; umount /home/evil"]);
    }

    /// As the hostile tenant, in its home.
    fn evil(&self, line: &str) {
        self.rig.as_user("evil", &["bash", "-c", line]).ok();
    }

    /// An apply of everybody: it ends in time, the good one is well, nothing outside has changed. What
    /// became of the hostile one.
    fn apply(&self, case: &str) -> Value {
        self.apply_as(case, &["fleet", "tenant", "apply", "--json"])
    }

    fn apply_as(&self, case: &str, argv: &[&str]) -> Value {
        let before = self.outside();
        let began = Instant::now();
        let run = self.rig.root(argv);
        let took = began.elapsed();
        assert!(took < BOUND, "{case}: {took:?}\n{}", run.report());
        let told = json(&run.stdout);
        assert_eq!(tenant(&told, "good")["ok"], true, "{case}: {told:#}");
        let touched = difference(&before, &self.outside());
        assert!(touched.is_empty(), "{case}: something outside was touched: {touched:#?}");
        tenant(&told, "evil").clone()
    }

    /// The same for a case that has to be refused with these words.
    fn refused(&self, case: &str, setup: &str, said: &str) {
        self.evil(&format!("rm -rf ~/.config; {setup}"));
        let evil = self.apply(case);
        assert_eq!(evil["ok"], false, "{case}: {evil:#}");
        let told = evil.to_string();
        assert!(told.contains(said), "{case}: {said:?} in {evil:#}");
    }
}

#[test]
fn whatever_stands_in_a_hostile_home_nothing_outside_of_it_is_touched() {
    if Rig::skipped() {
        return;
    }
    // A home is a home under any systemd.
    for suite in [Suite::Trixie] {
        let machine = Machine::new(suite);
        let elsewhere = machine.elsewhere();
        let out = "leads out of the home";
        machine.refused("linked .config", "ln -s /srv/bait ~/.config", out);
        machine.refused("linked .config, open to all", "ln -s /srv/bait/open ~/.config", out);
        machine.refused("linked mosaic", "mkdir ~/.config; ln -s /srv/bait/open ~/.config/mosaic", out);
        machine.refused("linked systemd", "mkdir ~/.config; ln -s /srv/bait/open ~/.config/systemd", out);
        machine.refused(
            "linked run",
            "mkdir -p ~/.config/mosaic/fleet; ln -s /srv/bait/open ~/.config/mosaic/fleet/run",
            out,
        );
        machine.refused(
            "linked into another's home",
            "ln -s /home/good/.config ~/.config",
            "a link that leads",
        );
        // A place whose name is words of root's.
        let forged =
            "place=$'/tmp/x\\nhint: chmod 4755 /bin/sh'; mkdir -p \"$place\"; ln -s \"$place\" ~/.config";
        machine.evil(&format!("rm -rf ~/.config; {forged}"));
        let run = machine.rig.root(&["fleet", "tenant", "apply", "evil"]).exits(4);
        assert!(
            run.stderr.contains("\n  | hint: chmod") && !run.stderr.contains("\nhint: chmod"),
            "{}",
            run.report()
        );
        machine.refused("linked to itself", "ln -s .config ~/.config", "a link that leads nowhere");
        machine.refused(
            "open to all",
            "mkdir -p ~/.config/mosaic; chmod 0777 ~/.config/mosaic",
            "everybody may write to it",
        );
        machine.rig.root_ok(&[
            "sh",
            "-c",
            "rm -rf /home/evil/.config; install -d -o evil /home/evil/.config; \
            install -d -o good /home/evil/.config/mosaic",
        ]);
        let evil = machine.apply("of somebody else");
        assert!(evil.to_string().contains("it belongs to good"), "{suite:?}: {evil:#}");
        machine.rig.root_ok(&["rm", "-rf", "/home/evil/.config"]);
        machine.refused(
            "a FIFO for a roster",
            "mkdir -p ~/.config/mosaic/fleet; mkfifo ~/.config/mosaic/fleet/roster.yaml",
            "roster.yaml",
        );
        machine.refused(
            "a FIFO for a ledger",
            "mkdir -p ~/.config/mosaic/fleet; mkfifo ~/.config/mosaic/fleet/ledger.json",
            "ledger.json",
        );
        machine.refused("a masked holder",
            "mkdir -p ~/.config/systemd/user; ln -s /dev/null ~/.config/systemd/user/mosaic-tmux-holder.service", "holder");

        // Every file of an installed fleet becomes a link, a hard link, a FIFO or a folder.
        machine.evil("rm -rf ~/.config");
        machine.apply("a fresh start");
        machine.evil("cp -a ~/.config ~/whole");
        let leaves = "find ~/.config/mosaic ~/.config/systemd -type f";
        for (case, put) in [
            ("links", "ln -s /srv/bait/file \"$f\""),
            ("links to what is open to all", "ln -s /srv/bait/open/file \"$f\""),
            ("links to nothing", "ln -s /srv/bait/open/none \"$f\""),
            ("hard links", "ln /srv/bait/open/file \"$f\""),
            ("FIFOs", "mkfifo \"$f\""),
            ("folders", "mkdir \"$f\""),
        ] {
            machine.evil(&format!("rm -rf ~/.config; cp -a ~/whole ~/.config; {leaves} | while read f; do rm \"$f\"; {put} || exit; done"));
            let nlink = machine.rig.root_ok(&["stat", "-c", "%h", "/srv/bait/open/file"]);
            let evil = machine.apply(&format!("leaves are {case}"));
            assert_eq!(evil["ok"], false, "{case} {nlink}: {evil:#}");
        }

        // Swapped all the time while root applies; what they lead to is nobody's that the tenant could write to.
        machine.evil("rm -rf ~/.config; cp -a ~/whole ~/.config");
        machine.rig.write("/home/evil/swap.py", SWAP, "evil");
        machine.evil("setsid python3 ~/swap.py >~/swap.log 2>&1 </dev/null &");
        let swaps = || -> u32 { machine.rig.root(&["cat", "/home/evil/swaps"]).stdout.parse().unwrap_or(0) };
        machine.rig.wait_until("it swaps", SOON, || swaps() > 10);
        // How many there are in one apply is a matter of who gets the processor.
        let mut all = 0;
        for round in 0.. {
            let before = swaps();
            machine.apply(&format!("swapped, {round}"));
            let during = swaps() - before;
            let log = machine.rig.read("/home/evil/swap.log");
            assert!(during > 0, "it goes on while root applies: {during} in {round}\n{log}");
            all += during;
            if all > 80 && round >= 3 {
                break;
            }
            assert!(round < 30, "{all} swaps in {round} applies\n{log}");
        }
        machine.evil(
            "touch ~/stop; while pgrep -u evil -f swap.p[y] >/dev/null; do sleep 0.1; done; rm -rf ~/.config",
        );
        let evil = machine.apply("after all of it");
        assert_eq!(evil["ok"], true, "{suite:?}: {evil:#}");
        let before = machine.outside();
        machine.evil("cat /srv/bait/file");
        assert_eq!(difference(&before, &machine.outside()).len(), 2, "a read would have been seen");
        assert_eq!(difference(&elsewhere, &machine.elsewhere()), Vec::<String>::new());
        machine.evil("touch /tmp/mine");
        assert_eq!(difference(&elsewhere, &machine.elsewhere()).len(), 1, "a file would have been seen");
    }
}

#[test]
fn a_manager_a_bus_or_a_disk_that_fails_is_named_within_a_bound_and_the_child_is_nobody_but_the_tenant() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let machine = Machine::new(suite);
        let rig = &machine.rig;
        let evil = uid(rig, "evil");

        // The manager is stopped in the middle. Meanwhile the child is looked at.
        let manager = format!("$(systemctl show --value -p MainPID user@{evil}.service)");
        machine.evil(
            "touch ~/.config/mosaic/fleet/roster.yaml; echo '# another' >>~/.config/mosaic/fleet/roster.yaml",
        );
        rig.root_ok(&["sh", "-c", &format!("kill -STOP {manager}")]);
        let look = r#"exec 9</etc/shadow; SECRET=planted-in-env fleet tenant apply --json >/tmp/told 2>/tmp/err &
            for i in $(seq 2000); do
                pid=$(pgrep -u evil -f 'tenant-child evil') && break; sleep 0.005
            done
            for pid in $pid; do
                cat /proc/$pid/status /proc/$pid/cgroup /proc/$pid/limits; stat -c '%n of %U' /proc/$pid/environ; tr '\0' '\n' </proc/$pid/environ; ls -l /proc/$pid/fd /proc/$pid/cwd
            done >/tmp/child; wait $!; cat /tmp/child"#;
        let before = machine.outside();
        let child = rig.root_ok(&["bash", "-c", look]);
        assert_eq!(difference(&machine.outside(), &before), Vec::<String>::new());
        let ids = format!("Uid:\t{evil}\t{evil}\t{evil}\t{evil}");
        for said in [
            ids.as_str(),
            "NoNewPrivs:\t1",
            // It is not dumpable: its files are root's, so that the tenant can't look into it.
            "/environ of root",
            &format!("user-{evil}.slice"),
            "HOME=/home/evil",
            "USER=evil",
            &format!("XDG_RUNTIME_DIR=/run/user/{evil}"),
        ] {
            assert!(child.contains(said), "{said} in {child}");
        }
        assert!(
            !child.contains("shadow") && !child.contains("planted") && !child.contains("MOSAIC"),
            "{child}"
        );
        let core = child.lines().find(|l| l.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..], ["0", "0", "bytes"], "{core}");
        let groups = child.lines().find(|l| l.starts_with("Groups:")).expect("groups");
        assert!(!groups.split_whitespace().any(|g| g == "0"), "{groups}");
        let told = json(&rig.read("/tmp/told"));
        assert_eq!(tenant(&told, "good")["ok"], true, "{told:#}");
        let hung = tenant(&told, "evil");
        assert!(
            hung["error"]["message"].as_str().is_some_and(|m| m.contains("no answer within")),
            "{hung:#}"
        );
        assert!(!rig.read("/tmp/told").contains("planted"));
        rig.root_ok(&["sh", "-c", &format!("kill -CONT {manager}")]);

        // The manager was killed: it is started again.
        rig.root_ok(&["sh", "-c", &format!("kill -KILL {manager}")]);
        rig.wait_until("it is gone", SOON, || {
            rig.root(&["systemctl", "is-active", &format!("user@{evil}.service")]).stdout.trim() != "active"
        });
        let told = machine.apply("a killed manager");
        assert_eq!(told["ok"], true, "{suite:?}: {told:#}");

        // The child is killed as soon as it shows: the tenant may, and gains nothing.
        machine.evil("echo '# more' >>~/.config/mosaic/fleet/roster.yaml");
        machine.evil(
            "setsid bash -c 'end=$((SECONDS+120)); while [ $SECONDS -lt $end ] && [ ! -e ~/stop ]; do \
            pkill -KILL -f \"tenant-chil[d] evil\"; done' >/dev/null 2>&1 </dev/null &",
        );
        rig.root_ok(&["sh", "-c", &format!("kill -STOP {manager}")]);
        let told = machine.apply("a killed child");
        rig.root_ok(&["sh", "-c", &format!("kill -CONT {manager}")]);
        assert!(told.to_string().contains("ended without an answer"), "{suite:?}: {told:#}");
        machine.evil("touch ~/stop");

        // Its bus is a program of the tenant's that accepts everybody and talks without an end.
        let bus = "import os,socket,threading\np='/run/user/%d/bus'%os.getuid()\nos.path.exists(p) and os.remove(p)\n\
            s=socket.socket(socket.AF_UNIX)\ns.bind(p)\ns.listen(64)\n\
            def talk(c):\n  try:\n    while True: c.sendall(b'x'*65536)\n  except OSError: pass\n\
            while True: threading.Thread(target=talk,args=(s.accept()[0],),daemon=True).start()\n";
        rig.write("/home/evil/bus.py", bus, "evil");
        machine.evil("echo '# again' >>~/.config/mosaic/fleet/roster.yaml; setsid python3 ~/bus.py >/dev/null 2>&1 </dev/null & sleep 1");
        let told = machine.apply("a bus that lies");
        assert_eq!(told["ok"], false, "{suite:?}: {told:#}");
        machine.evil("pkill -f bus.py");

        // A home without room.
        rig.root_ok(&["sh", "-c", &format!("loginctl terminate-user evil; \
            while pkill -KILL -u evil; do sleep 0.05; done; mount -t tmpfs -o size=64k,mode=0700,uid={evil},gid={evil} none /home/evil")]);
        let told = machine.apply("a full home");
        assert_eq!(told["ok"], false, "{suite:?}: {told:#}");
        assert!(told["error"].to_string().contains("the disk is full"), "{suite:?}: {told:#}");
        rig.root_ok(&[
            "sh",
            "-c",
            "loginctl terminate-user evil; while pkill -KILL -u evil; do sleep 0.05; done; umount /home/evil",
        ]);
        let told = machine.apply("after all of it");
        assert_eq!(told["ok"], true, "{suite:?}: {told:#}");

        // Whatever is left of it runs, its end is the end.
        machine.evil(
            "setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &",
        );
        machine.evil(
            "mkdir -p ~/a/b; chmod 0555 ~/a; ln -s /srv/bait ~/a/../link; ln /srv/bait/open/file ~/hard",
        );
        let before = machine.outside();
        rig.root_ok(&["fleet", "tenant", "remove", "evil", "--purge"]);
        let own = [
            "/etc/passwd",
            "/etc/group",
            "/etc/shadow",
            "/etc/gshadow",
            "/etc/sub",
            "/etc/.pwd.lock",
            "/etc/mosaic/",
            "/etc/systemd/system",
            "/etc ",
            // The tenant's own name for it is gone, which its number of names tells.
            "/srv/bait/open/file was changed",
            "/srv/bait/open/hard was changed",
        ];
        let mut touched = difference(&machine.outside(), &before);
        touched.retain(|line| !own.iter().any(|path| line.starts_with(path)));
        assert!(touched.is_empty(), "{suite:?}: {touched:#?}");
        assert_eq!(tenants::processes(rig, evil), "");
        assert_eq!(rig.root(&["ls", "/home"]).stdout.trim(), "good");
    }
}

#[test]
fn a_home_on_a_file_system_that_hangs_is_named_within_a_bound_and_holds_nobody_else_up() {
    if Rig::skipped() {
        return;
    }
    let machine = Machine::new(Suite::Trixie);
    let rig = &machine.rig;
    for (answers, said) in [
        // Whoever waits for it can't even be killed: the child, which the tenant's rights let in.
        ("root", "no answer within 20 s: a file system that it uses hangs"),
        // And root itself, which only asks whose the home is.
        ("nothing", "look at the home /home/evil: its file system gave no answer within 5 s"),
    ] {
        machine.hang_but_for(answers);
        let told = machine.apply(&format!("a home that hangs, but for: {answers}"));
        assert!(told["error"]["message"].as_str().is_some_and(|m| m.contains(said)), "{told:#}");
        assert!(told["error"]["hints"].to_string().contains("findmnt -T /home/evil"), "{told:#}");

        // All at the same time: each waits for its own child.
        let began = Instant::now();
        std::thread::scope(|scope| {
            for verb in ["ps", "verify", "doctor"] {
                scope.spawn(move || {
                    let run = rig.root(&["fleet", verb, "--all-tenants", "--json"]).exits(1);
                    let seen = json(&run.stdout);
                    let (evil, good) = (tenant(&seen, "evil"), tenant(&seen, "good"));
                    assert!(evil["known"] == false && good["known"] == true, "{answers}: {verb}: {seen:#}");
                    let why = evil["reasons"][0].as_str();
                    assert!(why.is_some_and(|why| why.contains("no answer within")), "{evil:#}");
                });
            }
            let run = rig.root(&["fleet", "tenant", "list"]).exits(0);
            assert!(run.stderr.contains("evil: no answer within 10 s"), "{}", run.report());
        });
        assert!(began.elapsed() < 2 * BOUND, "{:?}", began.elapsed());

        machine.hang_no_more();
        let waits = || rig.root(&["pgrep", "-f", "tenant-(child|look)"]).code == 0;
        rig.wait_until("whoever waited for it is gone", SOON, || !waits());
    }
    let told = machine.apply("after all of it");
    assert_eq!(told["ok"], true, "{told:#}");
}

#[test]
#[ignore = "a minute of waiting: one of ./check --long"]
fn a_tenant_whose_home_hangs_is_removed_within_a_bound_as_far_as_it_goes_and_wholly_later() {
    if Rig::skipped() {
        return;
    }
    let machine = Machine::new(Suite::Trixie);
    let rig = &machine.rig;
    let evil = uid(rig, "evil");
    machine.hang_but_for("root");
    let began = Instant::now();
    let run = rig.root(&["fleet", "tenant", "remove", "evil", "--purge"]).exits(4);
    assert!(began.elapsed() < 2 * BOUND, "{:?}", began.elapsed());
    assert!(run.stderr.contains("its fleet could not be stopped in order"), "{}", run.report());
    assert!(
        run.stderr.contains("are left after 30 s") || run.stderr.contains("no answer within"),
        "{}",
        run.report()
    );
    rig.root_ok(&["id", "evil"]);
    machine.hang_no_more();
    rig.root_ok(&["fleet", "tenant", "remove", "evil", "--purge"]);
    assert_eq!(tenants::processes(rig, evil), "");
    assert_eq!(rig.root(&["ls", "/home"]).stdout.trim(), "good");
}
