//! Whose a uid is, in a booted system: no tenant gets one that another had, and the end of a tenant meets nobody
//! who has its number now, also where users were removed by hand.

#[path = "common/tenants.rs"]
mod tenants;

use tenants::rig::{Rig, Run, Suite};
use tenants::{boot, json, processes, uid};

fn fleet(rig: &Rig, words: &str) -> Run {
    rig.root(&[&["fleet", "tenant"][..], &words.split(' ').collect::<Vec<_>>()].concat())
}

fn sh(rig: &Rig, script: &str) -> String {
    rig.root_ok(&["sh", "-c", script])
}

/// Runs something outside of every user's slice, as root's jobs do for others.
fn runs_as(rig: &Rig, uid: u32) {
    sh(rig, &format!("systemd-run -q setpriv --reuid={uid} --regid={uid} --clear-groups sleep 100000"));
    rig.wait_until("it runs", tenants::SOON, || processes(rig, uid).contains("sleep"));
}

/// A container without a manager: a user namespace that `owner` makes, in which one of those uids runs.
const CONTAINER: &str = "import ctypes, os, time
ctypes.CDLL(None).unshare(0x10000000)
while not open('/proc/self/uid_map').read().strip(): time.sleep(0.01)
os.setresuid(5, 5, 5)
time.sleep(1e6)
";

/// The same in a container of `owner`'s, outside of its slice; the uid that runs there.
fn contains(rig: &Rig, owner: u32, first: u32) -> u32 {
    rig.write("/run/container.py", CONTAINER, "root");
    let map = format!(
        "systemd-run -q --unit=of{owner} setpriv --reuid={owner} --clear-groups python3 /run/container.py; \
        pid=$(systemctl show --value -p MainPID of{owner}); \
        until echo 0 {first} 65536 >/proc/$pid/uid_map; do sleep 0.05; done 2>/dev/null"
    );
    sh(rig, &map);
    let inside = first + 5;
    rig.wait_until("it runs", tenants::SOON, || processes(rig, inside).contains("python3"));
    inside
}

/// The first of a user's subordinate uids.
fn below(rig: &Rig, user: &str) -> u32 {
    let file = rig.read("/etc/subuid");
    let line = file.lines().find_map(|line| line.strip_prefix(&format!("{user}:")));
    let first = line.and_then(|rest| rest.split(':').next()).unwrap_or_else(|| panic!("no {user} in {file}"));
    first.parse().expect("a number")
}

fn says(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} in {}", run.report());
    }
}

#[test]
fn what_a_record_alone_says_of_a_uid_ends_nobody_who_has_it_now() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let rig = boot(suite);
        let state = || {
            sh(&rig, "md5sum /etc/passwd /etc/group; ls /etc/mosaic/tenants.d /var/lib/mosaic/tenants; true")
        };
        // A group of the user's name is told before the first step.
        rig.root_ok(&["groupadd", "grp2"]);
        let before = state();
        let run = fleet(&rig, "add grp2 --profile minimal").exits(3);
        says(&run, &["a group grp2 (gid ", "groupdel grp2", "useradd --create-home --gid grp2 grp2"]);
        assert_eq!(state(), before);
        // A user whom the machine's own tool did not make has no number.
        sh(&rig, "mount --bind /bin/false /usr/sbin/useradd");
        fleet(&rig, "add half").exits(4);
        sh(&rig, "umount /usr/sbin/useradd; rm /etc/mosaic/tenants.d/half.yaml");
        assert!(!sh(&rig, "ls /var/lib/mosaic/tenants").contains("half.json"), "no claim to a number");

        // One is left all the same, by a program before this one; another tenant got the number.
        fleet(&rig, "add vic").exits(0);
        let vic = uid(&rig, "vic");
        let manager = sh(&rig, &format!("systemctl show --value -p MainPID user@{vic}.service"));
        let record = format!(
            "{{\"version\":1,\"tenant\":\"ghost\",\"user\":\"ghost\",\"uid\":{vic},\"user_by_us\":true,\
            \"home_by_us\":true,\"home\":\"/home/vic\",\"linger_by_us\":false,\"files\":{{}},\"reload_due\":false}}"
        );
        for words in ["remove ghost", "remove ghost --purge"] {
            rig.write("/var/lib/mosaic/tenants/ghost.json", &record, "root");
            sh(&rig, "chmod 600 /var/lib/mosaic/tenants/ghost.json");
            let run = fleet(&rig, words).exits(0);
            says(&run, &["is that of the tenant vic now: nothing that this uid runs or has was touched"]);
        }
        let now = sh(&rig, &format!("systemctl show --value -p MainPID user@{vic}.service; ls -d /home/vic"));
        assert_eq!(now, format!("{manager}/home/vic\n"), "{suite:?}");
        fleet(&rig, "apply vic").exits(0);
        // Nor is that one's user ended through a declaration that was never carried out.
        tenants::declare(&rig, "claims", "user: vic\n");
        says(&fleet(&rig, "remove claims").exits(0), &["its user is that of the tenant vic"]);
        assert!(processes(&rig, vic).contains("systemd"));
        sh(&rig, "rm /etc/mosaic/tenants.d/claims.yaml");

        // Nor is the user whom a tenant that was ended made, and whom another has now.
        for words in ["add first", "remove first"] {
            fleet(&rig, words).exits(0);
        }
        sh(&rig, "rm /etc/mosaic/tenants.d/first.yaml");
        fleet(&rig, "add second --user first").exits(0);
        // While that one's record can't be read, it may be anybody's.
        sh(&rig, "chmod 644 /var/lib/mosaic/tenants/second.json");
        let run = fleet(&rig, "remove first --purge").exits(4);
        says(&run, &["chmod 0600 /var/lib/mosaic/tenants/second.json", "it is left as it is"]);
        assert!(processes(&rig, uid(&rig, "first")).contains("systemd"), "{suite:?}");
        sh(&rig, "chmod 600 /var/lib/mosaic/tenants/second.json");
        says(&fleet(&rig, "remove first --purge").exits(0), &["is that of the tenant second now"]);
        assert!(processes(&rig, uid(&rig, "first")).contains("systemd"), "{suite:?}");

        // What can't be removed changes no declaration: nothing takes effect later.
        rig.root_ok(&["useradd", "--create-home", "human"]);
        fleet(&rig, "add human").exits(0);
        let human = uid(&rig, "human");
        let declared = rig.read("/etc/mosaic/tenants.d/human.yaml");
        says(&fleet(&rig, "remove human --purge").exits(1), &["nothing was removed"]);
        sh(&rig, "chmod 644 /var/lib/mosaic/tenants/human.json");
        says(&fleet(&rig, "remove human").exits(4), &["chmod 0600 /var/lib/mosaic/tenants/human.json"]);
        // A record that can't be read may be a claim to any number: somebody new waits, the others don't.
        says(&fleet(&rig, "add newer").exits(4), &["chmod 0600 /var/lib/mosaic/tenants/human.json"]);
        fleet(&rig, "apply vic").exits(0);
        sh(&rig, "chmod 600 /var/lib/mosaic/tenants/human.json");
        assert_eq!(rig.read("/etc/mosaic/tenants.d/human.yaml"), declared);
        fleet(&rig, "apply human").exits(0);
        assert!(processes(&rig, human).contains("systemd"), "it runs on");
    });
}

#[test]
fn a_number_that_a_tenant_had_is_nobody_elses_also_where_its_user_was_removed_by_hand() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let rig = boot(suite);
        fleet(&rig, "add hand").exits(0);
        let (hand, hands) = (uid(&rig, "hand"), below(&rig, "hand"));
        sh(&rig, &format!("loginctl disable-linger hand; systemctl stop user@{hand}; userdel hand"));
        fleet(&rig, "add newt").exits(0);
        let (newt, newts) = (uid(&rig, "newt"), below(&rig, "newt"));
        assert_ne!(newt, hand);
        assert!(newts.abs_diff(hands) >= 65_536, "{newts} and {hands}");
        let run = fleet(&rig, &format!("add other --uid {hand}")).exits(3);
        says(&run, &["is the tenant hand's", "leave the uid out"]);
        // Itself gets it back, with what it has.
        fleet(&rig, "add hand").exits(0);
        assert_eq!((uid(&rig, "hand"), below(&rig, "hand")), (hand, hands));

        // Its entry goes while it runs: all of it ends, what was begun by others for it, too, and it does not linger.
        runs_as(&rig, hand);
        runs_as(&rig, hands + 7);
        runs_as(&rig, newts + 7);
        let (own, roots) = (contains(&rig, hand, hands), contains(&rig, 0, hands + 100));
        rig.as_user("hand", &["sh", "-c", "mkdir -p ~/a/b; chmod 500 ~/a; touch ~/x"]).ok();
        sh(&rig, "userdel -f hand 2>&1");
        assert!(processes(&rig, hand).contains("systemd"));
        let told = json(&fleet(&rig, "remove hand --json").exits(0).stdout);
        assert_eq!(
            told["tenants"][0]["did"],
            serde_json::json!(["lingering turned off", "processes ended"]),
            "{told:#}"
        );
        assert_eq!(processes(&rig, hand) + &processes(&rig, hands + 7), "", "{suite:?}");
        assert!(processes(&rig, newts + 7).contains("sleep"), "another's is another's");
        assert_eq!(processes(&rig, own), "", "{suite:?}: in a container of its own");
        assert!(processes(&rig, roots).contains("python3"), "{suite:?}: in a container of root's");
        assert!(!sh(&rig, "ls /var/lib/systemd/linger").contains("hand"));
        assert!(sh(&rig, "ls /home/hand").contains('x'), "its home stays");

        // The machine's own tool gives the number to somebody: nothing of theirs ends with the tenant.
        sh(&rig, &format!("useradd --create-home --uid {hand} human"));
        let run = fleet(&rig, "add human").exits(3);
        says(&run, &["is the tenant hand's", "usermod --uid "]);
        runs_as(&rig, hand);
        let run = fleet(&rig, "remove hand --purge").exits(0);
        says(&run, &["is that of the user human now", "nor /home/hand"]);
        assert!(processes(&rig, hand).contains("sleep") && sh(&rig, "ls /home").contains("hand"));
        // To be a tenant they get another one, by the very command that is told.
        let run = fleet(&rig, "add human").exits(3);
        says(
            &run,
            &["was a tenant's that has been removed", &format!("find / -xdev -uid {hand} "), "/home/human*"],
        );
        let change =
            run.stderr.split("home with it: ").nth(1).and_then(|rest| rest.lines().next()).expect("a hint");
        sh(
            &rig,
            &format!(
                "systemctl stop of0; pkill -U {hand}; while pgrep -U {hand}; do sleep 0.1; done; {change}"
            ),
        );
        let run = fleet(&rig, "add human").exits(0);
        assert!(![hand, newt].contains(&uid(&rig, "human")));
        // So it did with the subordinate ones.
        let change = run.stderr.split("for a moment: ").nth(1).and_then(|rest| rest.lines().next());
        sh(&rig, change.unwrap_or_else(|| panic!("{}", run.report())));
        assert!(below(&rig, "human").abs_diff(hands) >= 65_536);
        assert!(!fleet(&rig, "apply human").exits(0).stderr.contains("subordinate"));

        // Removed by hand while it runs, and purged: nothing is left, and nobody gets any of its numbers.
        let before = sh(&rig, "cut -d: -f1 /etc/passwd /etc/group; ls /home");
        sh(&rig, "userdel -f newt 2>&1; groupadd --gid $(stat -c %u /home/newt) newt");
        let told = json(&fleet(&rig, "remove newt --purge --json").exits(0).stdout);
        assert!(told["tenants"][0]["did"].to_string().contains("home removed"), "{told:#}");
        assert_eq!(processes(&rig, newt) + &processes(&rig, newts + 7), "", "{suite:?}");
        let left: Vec<&str> = before.lines().filter(|line| *line != "newt").collect();
        assert_eq!(
            sh(&rig, "cut -d: -f1 /etc/passwd /etc/group; ls /home").lines().collect::<Vec<_>>(),
            left
        );
        fleet(&rig, "add next").exits(0);
        let nexts = below(&rig, "next");
        assert!(![hand, newt].contains(&uid(&rig, "next")));
        assert!([hands, newts].iter().all(|had| had.abs_diff(nexts) >= 65_536), "{nexts}");
        fleet(&rig, "remove next --purge").exits(0);
        fleet(&rig, "add last").exits(0);
        assert!(below(&rig, "last").abs_diff(nexts) >= 65_536, "{suite:?}: {nexts}");

        // Another user for a tenant that was ended: the one before stays as it is, and is no other tenant's.
        rig.root_ok(&["fleet", "tenant", "remove", "last"]);
        let last = uid(&rig, "last");
        sh(&rig, "rm /etc/mosaic/tenants.d/last.yaml; fleet tenant add last --user last2; userdel last");
        let run = fleet(&rig, &format!("add third --uid {last}")).exits(3);
        says(&run, &["whose user was last"]);
    });
}
