//! Draws the pictures of docs/usage from a real fleet in a booted Debian:
//! `UPDATE_PICTURES=1 cargo test --test pictures -- --ignored`. It is no test of what they show.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, SOON, TENANT};
use pty::Pty;
use vt100::Color;

const ROSTER: &str = "version: 1\ntenant_id: usc\ndefaults: {runtime: dogfood}\nagents:\n\
                      - {name: mos, class: orchestrator}\n- {name: coder0, class: implementer}\n\
                      - {name: coder1, class: implementer}\n- {name: rev0, class: reviewer}\n";
/// Of a character, in pixels.
const CELL: (u16, u16) = (8, 17);
/// The first eight of a terminal's colours, and the eight bright ones.
const COLOURS: [&str; 16] = [
    "#45475a", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d0d0d0", //
    "#7f848e", "#f38ba8", "#a6e3a1", "#f9e2af", "#89b4fa", "#f5c2e7", "#94e2d5", "#ffffff",
];

#[test]
#[ignore = "writes docs/usage/pictures, with UPDATE_PICTURES=1"]
fn the_pictures_of_the_docs_are_drawn_again() {
    if std::env::var_os("UPDATE_PICTURES").is_none() || Rig::skipped() {
        return;
    }
    let fleet = Fleet::with(Suite::Trixie, ROSTER);
    let shows = |program: &str, text: &str, times: usize| {
        fleet.rig.wait_until(text, SOON, || {
            fleet.run(&["fleet", program, "--json"]).stdout.matches(text).count() == times
        });
    };
    shows("ps", "\"healthy\"", 4);
    fleet.sh("mosaic agent send coder0 --raw --verify --message 'work 600'").ok();
    shows("ps", "\"working\"", 1);
    draw(&fleet, "top", (100, 26), "fleet top", ["healthy", "600"], b"j", b"q");

    fleet.sh("echo '# mine' >>~/.config/mosaic/fleet/agents/coder1.env").ok();
    fleet.sh("TMUX= tmux -L mosaic-factory new-session -d -s scratch").ok();
    fleet.sh("mosaic agent send rev0 --raw --message '/fault die'").ok();
    fleet.sh("rm ~/.config/systemd/user/default.target.wants/mosaic-agent@coder0.service").ok();
    shows("ps", "\"EDITED\"", 1);
    draw(&fleet, "ps", (132, 16), "fleet ps", ["NAME", "EDITED: "], b"", b"");
    draw(&fleet, "verify", (118, 26), "fleet verify", ["ok", "FAILED"], b"", b"");
}

/// Draws what a person sees on a terminal of that size, once it shows the first text and, after `keys`, the other.
fn draw(
    fleet: &Fleet,
    name: &str,
    size: (u16, u16),
    command: &str,
    [first, sees]: [&str; 2],
    keys: &[u8],
    leave: &[u8],
) {
    let (columns, rows) = size;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder").display();
    let line = format!(
        "stty cols {columns} rows {rows}; export CARGO_TARGET_DIR={target}; exec {} as {} {TENANT} {command}",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/rig"),
        fleet.rig.name()
    );
    let mut pty = Pty::start(Path::new("/bin/bash"), &["-c", &line], &[("TERM", "xterm-256color")]);
    pty.sees(first);
    pty.keys(keys);
    pty.sees(sees);
    if leave.is_empty() {
        pty.end();
    }
    let mut screen =
        vt100::Parser::new(rows.try_into().expect("rows"), columns.try_into().expect("columns"), 0);
    screen.process(pty.seen().as_bytes());
    if !leave.is_empty() {
        pty.keys(leave);
        pty.end();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/usage/pictures");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("{name}.svg")), svg(screen.screen(), size, command)).expect("written");
}

/// A screen as a drawing: a text a run of characters of one look.
fn svg(screen: &vt100::Screen, (columns, rows): (u16, u16), title: &str) -> String {
    let last =
        (0..rows).rev().find(|row| (0..columns).any(|c| contents(screen, *row, c) != " ")).unwrap_or(0);
    let (width, height) = ((columns + 2) * CELL.0, (last + 3) * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" \
         font-size=\"13\" xml:space=\"preserve\">\n<title>{title}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#1e1e2e\"/>\n"
    );
    for row in 0..=last {
        let mut column = 0;
        while column < columns {
            let look = look(screen, row, column);
            let from = column;
            let mut text = String::new();
            while column < columns && self::look(screen, row, column) == look {
                text.push_str(&contents(screen, row, column));
                column += 1;
            }
            let (colour, ground, bold) = look;
            let (x, y, wide) = ((from + 1) * CELL.0, (row + 1) * CELL.1, (column - from) * CELL.0);
            if let Some(ground) = ground {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{}\" fill=\"{ground}\"/>",
                    CELL.1
                );
            }
            // Viewers drop white space at a text's ends.
            let shown = text.trim();
            if !shown.is_empty() {
                let before = text.chars().take_while(|c| c.is_whitespace()).count() as u16;
                let (x, wide) = (x + before * CELL.0, shown.chars().count() as u16 * CELL.0);
                let weight = if bold { " font-weight=\"bold\"" } else { "" };
                let shown = shown.replace('&', "&amp;").replace('<', "&lt;");
                let place = format!("x=\"{x}\" y=\"{}\" textLength=\"{wide}\"", y + 13);
                let _ = writeln!(svg, "<text {place} fill=\"{colour}\"{weight}>{shown}</text>");
            }
        }
    }
    svg + "</svg>\n"
}

fn contents(screen: &vt100::Screen, row: u16, column: u16) -> String {
    let text = screen.cell(row, column).map(|cell| cell.contents().to_owned()).unwrap_or_default();
    if text.is_empty() { " ".to_owned() } else { text }
}

/// Colour, ground where there is one, and whether it is bold.
fn look(screen: &vt100::Screen, row: u16, column: u16) -> (String, Option<String>, bool) {
    let Some(cell) = screen.cell(row, column) else { return (String::new(), None, false) };
    let colour = |colour| match colour {
        Color::Default => None,
        Color::Idx(n) => Some(COLOURS.get(usize::from(n)).copied().unwrap_or("#d0d0d0").to_owned()),
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
    };
    let text =
        colour(cell.fgcolor()).unwrap_or_else(|| if cell.dim() { "#8a8a9a" } else { "#d8d8e0" }.to_owned());
    match cell.inverse() {
        true => ("#1e1e2e".to_owned(), Some(text), cell.bold()),
        false => (text, colour(cell.bgcolor()), cell.bold()),
    }
}
