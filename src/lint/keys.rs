//! Settings that came after systemd 252, the oldest that the fleet runs on: an older manager
//! ignores such a line with a warning that nobody sees.

/// Setting, and the version of systemd that brought it.
pub const NEWER_KEYS: &[(&str, u32)] = &[
    ("LogFilterPatterns", 253),
    ("MemoryZSwapMax", 253),
    ("OpenFile", 253),
    ("ReloadSignal", 253),
    ("DefaultStartupMemoryLow", 254),
    ("DelegateSubgroup", 254),
    ("ExtensionImagePolicy", 254),
    ("FileDescriptorStorePreserve", 254),
    ("ImportCredential", 254),
    ("MemoryKSM", 254),
    ("MemoryPressureThresholdSec", 254),
    ("MemoryPressureWatch", 254),
    ("MountImagePolicy", 254),
    ("RestartMaxDelaySec", 254),
    ("RestartMode", 254),
    ("RestartSteps", 254),
    ("RootEphemeral", 254),
    ("RootImagePolicy", 254),
    ("StartupMemoryHigh", 254),
    ("StartupMemoryLow", 254),
    ("StartupMemoryMax", 254),
    ("StartupMemorySwapMax", 254),
    ("StartupMemoryZSwapMax", 254),
    ("UpheldBy", 254),
    ("CoredumpReceive", 255),
    ("NFTSet", 255),
    ("SetLoginEnvironment", 255),
    ("SurviveFinalKillSignal", 255),
    ("MemoryZSwapWriteback", 256),
    ("WantsMountsFor", 256),
    ("BindLogSockets", 257),
    ("ManagedOOMMemoryPressureDurationSec", 257),
    ("PrivatePIDs", 257),
    ("AssertKernelModuleLoaded", 258),
    ("AssertVersion", 258),
    ("ConditionKernelModuleLoaded", 258),
    ("ConditionVersion", 258),
    ("DelegateNamespaces", 258),
    ("PrivateBPF", 258),
    ("UserNamespacePath", 258),
];

/// The version that brought a setting, where 252 lacks it.
pub fn newer(key: &str) -> Option<u32> {
    NEWER_KEYS.iter().find(|(name, _)| *name == key).map(|(_, version)| *version)
}
