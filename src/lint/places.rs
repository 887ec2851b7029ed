//! Units that the system's manager has and a user's manager never does: to order after one is
//! without effect, to require one keeps the unit from starting.

/// Units that only the system's manager has.
pub const SYSTEM_ONLY: &[&str] = &[
    "cryptsetup.target",
    "dbus-broker.service",
    "display-manager.service",
    "docker.service",
    "getty.target",
    "graphical.target",
    "local-fs-pre.target",
    "local-fs.target",
    "multi-user.target",
    "network-online.target",
    "network-pre.target",
    "network.target",
    "NetworkManager-wait-online.service",
    "NetworkManager.service",
    "nss-lookup.target",
    "nss-user-lookup.target",
    "remote-fs-pre.target",
    "remote-fs.target",
    "rescue.target",
    "rpcbind.target",
    "ssh.service",
    "sshd.service",
    "swap.target",
    "sysinit.target",
    "syslog.target",
    "systemd-journald.service",
    "systemd-logind.service",
    "systemd-networkd-wait-online.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-user-sessions.service",
    "time-set.target",
    "time-sync.target",
];

/// Whether a user manager never has this unit.
pub fn is_system_only(unit: &str) -> bool {
    SYSTEM_ONLY.contains(&unit) || unit.starts_with("user@") || unit.starts_with("getty@")
}
