//! Environment files against their two other readers: what the writer writes, real shells read back
//! byte for byte. (systemd's own reading is proven in the boot rig.)

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

#[path = "common/hostile.rs"]
mod hostile;

use hostile::{env_file, name, some, value, writable};
use mosaic_fleet::envfile;
use proptest::prelude::*;
use proptest::test_runner::Config;

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn our_reader_reads_back_what_our_writer_wrote(values in proptest::collection::vec(value(), 0..8)) {
        let text = env_file(&values);
        let read: Vec<String> = envfile::parse(&text).into_iter().map(|(_, value)| value).collect();
        prop_assert_eq!(&read, &values);
        let checked = envfile::read(text.as_bytes()).expect("a readable file");
        prop_assert_eq!(checked, envfile::parse(&text));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = envfile::read(&bytes);
        let _ = envfile::parse(&String::from_utf8_lossy(&bytes));
    }
}

/// Variables as a shell exported them, bytes for bytes.
type Read = BTreeMap<Vec<u8>, Vec<u8>>;

/// What each shell on this machine makes of the text.
fn shells(text: &str) -> Vec<(String, Read)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("agent.env");
    std::fs::write(&file, text).expect("write the file");
    let mut seen = Vec::new();
    for shell in [&["sh"][..], &["dash"], &["bash"], &["bash", "--posix"], &["busybox", "ash"]] {
        for locale in ["C", "C.UTF-8"] {
            let mut command = Command::new("env");
            command.args(["-i", "PATH=/usr/bin:/bin", &format!("LC_ALL={locale}")]).args(shell);
            command.args(["-c", "set -a; . \"$1\"; exec env -0", "sh"]).arg(&file);
            let out = command.stdin(Stdio::null()).output().expect("env is there");
            if out.status.code() == Some(127) {
                continue;
            }
            let errors = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(out.status.success() && errors.is_empty(), "{shell:?} in {locale}: {errors}");
            let vars = out.stdout.split(|b| *b == 0).filter_map(|var| {
                let equals = var.iter().position(|b| *b == b'=')?;
                Some((var[..equals].to_vec(), var[equals + 1..].to_vec()))
            });
            seen.push((format!("{shell:?} in {locale}"), vars.collect()));
        }
    }
    assert!(!seen.is_empty(), "there is no shell");
    seen
}

fn shells_agree_on(values: &[String]) {
    for (shell, vars) in shells(&env_file(values)) {
        for (at, value) in values.iter().enumerate() {
            let seen = vars.get(name(at).as_str().as_bytes()).map(|v| String::from_utf8_lossy(v));
            assert_eq!(seen.as_deref(), Some(value.as_str()), "{shell}: V{at}");
        }
    }
}

#[test]
fn shells_read_back_generated_values() {
    for values in some(proptest::collection::vec(value(), 500), 4) {
        shells_agree_on(&values);
    }
}

#[test]
fn shells_read_back_every_writable_character_of_the_first_plane() {
    let all: Vec<char> =
        (1..=0xFFFF).filter_map(char::from_u32).filter(|c| writable(&c.to_string())).collect();
    let values: Vec<String> = all.chunks(256).map(|chunk| chunk.iter().collect()).collect();
    shells_agree_on(&values);
    // A shell's own markers are single bytes: each low character alone, too, at every place.
    let alone = (1..=0x17F).filter_map(char::from_u32).flat_map(|c| {
        [format!("{c}"), format!("{c}x"), format!("x{c}"), format!("{c}\"{c}\\{c}"), format!("{c}\n{c}")]
    });
    shells_agree_on(&alone.collect::<Vec<_>>());
}

#[test]
fn shells_read_back_long_values_and_blanks_at_the_ends() {
    let long = "\"$\\` '\n#é%~!".repeat(64 * 1024 / 13);
    let values = [
        "x".repeat(64 * 1024),
        long,
        "\n".repeat(64 * 1024),
        "\\".repeat(60_000),
        " x ".to_owned(),
        "\t".to_owned(),
        "x\n".to_owned(),
        "\n\n".to_owned(),
        String::new(),
        "-n".to_owned(),
        "~".to_owned(),
        "a:~/b".to_owned(),
    ];
    shells_agree_on(&values);
}
