//! What a tenant could do against its own end, in a booted system: whatever it left, a purge removes it or says what
//! stays and how it goes; and one that may start nothing more is named with that.

#[path = "common/tenants.rs"]
mod tenants;

use std::time::{Duration, Instant};

use tenants::rig::{Rig, Suite};
use tenants::{boot, json, tenant, uid};

/// What any of it may take.
const BOUND: Duration = Duration::from_secs(60);
const ROSTER: &str = "roster:\n  version: 1\n  agents: [{name: coder, command: sleep 100000}]\n";

/// More folders in each other than a process may have open files, one of them closed where no path reaches.
const DEEP: &str = "
import os
os.chdir(os.path.expanduser('~'))
for level in range(3000):
    os.mkdir('below' * 4)
    os.chdir('below' * 4)
open('last', 'w').close()
os.chdir(os.path.expanduser('~'))
for level in range(2000):
    os.chdir('below' * 4)
os.chmod('below' * 4, 0)
";

/// Leaves something of the tenant's wherever everybody may.
const LITTER: &str = "
for folder in /tmp /var/tmp /dev/shm /run/lock; do
    mkdir -p $folder/mine/below; echo x >$folder/mine/below/x; chmod 0 $folder/mine/below
    echo x >$folder/file; ln -s /srv/bait $folder/link
done
ipcmk -M 4096 && ipcmk -Q && ipcmk -S 1";

#[test]
fn a_purge_removes_what_a_tenant_left_anywhere_or_names_it_with_the_command_by_which_it_goes() {
    if Rig::skipped() {
        return;
    }
    let rig = boot(Suite::Trixie);
    for name in ["kp", "good"] {
        rig.root_ok(&["fleet", "tenant", "add", name]);
        let write = "cat >>/etc/mosaic/tenants.d/$1.yaml";
        rig.as_user_with("root", &["sh", "-c", write, "sh", name], ROSTER.as_bytes()).ok();
    }
    rig.root_ok(&["fleet", "tenant", "apply"]);
    let kp = uid(&rig, "kp");
    rig.root_ok(&[
        "sh",
        "-c",
        "mkdir -m 0777 /srv/bait; echo bait >/srv/bait/file; chmod 0666 /srv/bait/file",
    ]);
    one_that_may_start_nothing_is_named_with_that(&rig, kp);

    rig.as_user("kp", &["python3", "-c", DEEP]).ok();
    rig.as_user("kp", &["sh", "-c", LITTER]).ok();
    rig.as_user("good", &["sh", "-c", "echo x >/tmp/of-good; ipcmk -M 4096"]).ok();
    let jobs = "install -d -m 1730 /var/spool/cron/crontabs; echo >/var/spool/cron/crontabs/kp; \
        chown kp /var/spool/cron/crontabs/kp";
    rig.root_ok(&["sh", "-c", jobs]);

    // Of a container without root: its folders belong to subordinate uids, and the tenant's own files are in them.
    let first: u32 = {
        let line = rig.root_ok(&["grep", "^kp:", "/etc/subuid"]);
        line.split(':').nth(1).and_then(|first| first.parse().ok()).expect("a subordinate uid")
    };
    let inner = first + 33;
    let container = format!(
        "mkdir -p /home/kp/ct/root/etc && cd /home/kp/ct && echo x >root/etc/file && ln -s /srv/bait root/etc/link && \
         ln /srv/bait/file hard && chown kp . && chown {first} root root/etc && chown -h {inner} root/etc/link && \
         chown {inner} root/etc/file"
    );
    rig.root_ok(&["sh", "-c", &container]);
    let began = Instant::now();
    // Fewer open files than levels, whatever this machine allows.
    let purge = "ulimit -n 128; exec fleet tenant remove kp --purge";
    let run = rig.root(&["bash", "-c", purge]).exits(4);
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    for said in [
        "the home /home/kp is not empty yet: remove /home/kp/ct/root/etc/",
        &format!(" (of uid {inner}): Permission denied"),
        ", and 1 more\n",
        "these are files of its containers",
        "runuser -u kp -- unshare --map-auto --map-root-user --wd=/home/kp find /home/kp",
    ] {
        assert!(run.stderr.contains(said), "{said:?} in {}", run.report());
    }
    assert_eq!(rig.root_ok(&["ls", "-A", "/home/kp"]), "ct\n", "all else is gone");
    // What is told to do is done as it is told.
    let all = "find /home/kp -mindepth 1 -xdev -delete";
    assert!(run.stderr.contains(all), "{}", run.report());
    rig.root_ok(&["sh", "-c", all]);
    rig.root_ok(&["fleet", "tenant", "remove", "kp", "--purge"]);
    assert!(rig.root(&["ls", "-d", "/home/kp"]).code != 0);

    let places = ["find", "/", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/run/lock", "-xdev"];
    let left =
        rig.root_ok(&[&places[..], &["-uid", &kp.to_string(), "-not", "-path", "/var/log/*"]].concat());
    assert_eq!(left, "", "nothing is its");
    let numbered = rig.root_ok(&["sh", "-c", "cat /proc/sysvipc/*"]);
    let of = |uid: u32| numbered.lines().any(|l| l.split_whitespace().any(|word| word == uid.to_string()));
    assert!(!of(kp) && of(uid(&rig, "good")), "{numbered}");
    assert_eq!(rig.read("/srv/bait/file"), "bait\n");
    assert_eq!(rig.read("/tmp/of-good"), "x\n");
}

/// As when its processes and threads are as many as they may be.
fn one_that_may_start_nothing_is_named_with_that(rig: &Rig, kp: u32) {
    let said = format!("uid {kp} may start no more processes or threads (tasks_max, or ulimit -u)");
    let cure = format!("systemctl status user-{kp}.slice");
    for words in [
        "tenant apply --json",
        "tenant list --json",
        "tenant show kp",
        "ps --all-tenants --json",
        "verify --all-tenants --json",
        "doctor --all-tenants --json",
    ] {
        let began = Instant::now();
        // A limit that both tenants are beyond: how many the one may have is all that they share.
        let limited = format!("ulimit -u 1; exec fleet {words}");
        let run = rig.root(&["bash", "-c", &limited]);
        assert!(began.elapsed() < BOUND, "{words}: {:?}", began.elapsed());
        let told = run.report();
        assert!(
            told.contains(&said) && told.contains(&cure) && !told.contains("BACKTRACE"),
            "{words}: {told}"
        );
    }
    let told = json(&rig.root(&["bash", "-c", "ulimit -u 1; fleet tenant apply kp --json"]).exits(4).stdout);
    let hints = tenant(&told, "kp")["error"]["hints"].to_string();
    assert!(hints.contains("raise tasks_max"), "{told:#}");
    rig.root_ok(&["fleet", "tenant", "apply"]);
}
