//! Puts the figures that the other benches left into docs/performance.md and draws them. It measures
//! nothing. `just bench` runs it after them.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr, reason = "a program that tells")]

mod common;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The benches in the order of the page.
const BENCHES: [&str; 6] = ["ps", "start", "apply", "send", "upkeep", "render"];
/// Between these lines of the page stands what is made here.
const BEGIN: &str = "<!-- figures: made by `just bench` -->\n";
const END: &str = "<!-- end of the figures -->\n";
const TREES: [(&str, &str); 3] =
    [("Bookworm", "Debian 12"), ("Trixie", "Debian 13"), ("this machine", "neither: the machine itself")];

fn main() {
    if !common::measures() {
        return;
    }
    let (mut figures, mut lacking) = (Vec::new(), Vec::new());
    for bench in BENCHES {
        match measured(bench) {
            Ok(found) => figures.extend(found),
            Err(why) => lacking.push(format!("no figures of {bench}: {why}")),
        }
    }
    // A page of what some benches say now and others said once would look like a whole one.
    if !lacking.is_empty() {
        eprintln!("{}\nnothing was written; all of them, and the page: just bench", lacking.join("\n"));
        std::process::exit(1);
    }
    let page = docs().join("performance.md");
    let text = fs::read_to_string(&page).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("where the figures begin");
    let (_, after) = rest.split_once(END).expect("where they end");
    fs::write(&page, format!("{before}{BEGIN}{}{END}{after}", tables(&figures))).expect("written");
    fs::write(docs().join("performance.svg"), picture(&figures)).expect("written");
    println!("{} figures in {}", figures.len(), page.display());
}

/// What a bench found of the programs as they are now.
fn measured(bench: &str) -> Result<Vec<Figure>, String> {
    if bench == "render" {
        return rendered().map(|figure| vec![figure]).ok_or_else(|| "criterion has none".to_owned());
    }
    let file = common::results().join(format!("{bench}.json"));
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let kept: Kept = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let now = common::build::name();
    if kept.of == now { Ok(kept.figures) } else { Err(format!("they are of {}, and this is {now}", kept.of)) }
}

#[derive(serde::Deserialize)]
struct Kept {
    /// The commit that was measured.
    of: String,
    figures: Vec<Figure>,
}

#[derive(serde::Deserialize)]
struct Figure {
    tree: String,
    what: String,
    value: f64,
    unit: String,
    load: f64,
    bound: Option<String>,
    holds: Option<bool>,
}

impl Figure {
    fn shown(&self) -> String {
        let digits = if self.value >= 100.0 { 0 } else { 2 };
        let value = format!("{:.digits$} {}", self.value, self.unit);
        let value = value.trim();
        if self.holds == Some(false) { format!("**{value}: short**") } else { value.to_owned() }
    }

    /// How much of the bound it takes up: 1 is the bound itself, less is good.
    fn share(&self) -> Option<f64> {
        let words = self.bound.as_deref()?;
        let bound: f64 = words.rsplit(' ').next()?.parse().ok()?;
        Some(if words.starts_with("at least") { bound / self.value } else { self.value / bound })
    }
}

/// What criterion found for the one pure bound, in seconds.
fn rendered() -> Option<Figure> {
    let what = "read and render 1000 tenants of 13 agents";
    let file =
        common::results().with_file_name("criterion").join("slow").join(what).join("new/estimates.json");
    let found: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let value = found["median"]["point_estimate"].as_f64()? / 1e9;
    Some(Figure {
        tree: "this machine".to_owned(),
        what: what.to_owned(),
        value,
        unit: "s".to_owned(),
        load: f64::NAN,
        bound: Some("less than 1".to_owned()),
        holds: Some(value < 1.0),
    })
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// The different texts in the order of their first figure.
fn each_what<'f>(figures: &[&'f Figure]) -> Vec<&'f str> {
    let mut all: Vec<&str> = Vec::new();
    for figure in figures {
        if !all.contains(&figure.what.as_str()) {
            all.push(&figure.what);
        }
    }
    all
}

fn tables(figures: &[Figure]) -> String {
    let (bounded, others): (Vec<&Figure>, Vec<&Figure>) = figures.iter().partition(|f| f.bound.is_some());
    let mut out = format!("\n{}\n\n", machine(figures));
    out.push_str("| what | must be | Debian 12 | Debian 13 |\n| --- | --- | --- | --- |\n");
    let cells = |out: &mut String, of: &[&Figure], what: &str| {
        let on = |tree| of.iter().find(|f| f.what == what && f.tree == tree).map(|f| f.shown());
        match on(TREES[2].0) {
            Some(here) => writeln!(out, " {here} (on the machine itself) | |"),
            None => writeln!(
                out,
                " {} | {} |",
                on(TREES[0].0).unwrap_or_default(),
                on(TREES[1].0).unwrap_or_default()
            ),
        }
        .expect("a string takes it");
    };
    for what in each_what(&bounded) {
        let bound = bounded.iter().find(|f| f.what == what).and_then(|f| f.bound.clone()).unwrap_or_default();
        let unit = bounded.iter().find(|f| f.what == what).map_or("", |f| &f.unit);
        write!(out, "| {what} | {} |", format!("{bound} {unit}").trim()).expect("a string takes it");
        cells(&mut out, &bounded, what);
    }
    let short: Vec<String> = bounded
        .iter()
        .filter(|f| f.holds == Some(false))
        .map(|f| {
            let tree = TREES.iter().find(|(tree, _)| *tree == f.tree).map_or("", |(_, name)| name);
            format!(
                "- {tree}: {}: {} {}, must be {}\n",
                f.what,
                round(f.value),
                f.unit,
                f.bound.as_deref().unwrap_or("")
            )
        })
        .collect();
    match short.as_slice() {
        [] => out.push_str("\nEvery bound is kept in this run.\n"),
        short => write!(out, "\n**Short of the table in this run:**\n\n{}", short.concat()).expect("taken"),
    }
    out.push_str("\n![each figure as a share of its bound](performance.svg)\n");
    out.push_str("\nWhat they are made of and compared with:\n\n| what | Debian 12 | Debian 13 |\n| --- | --- | --- |\n");
    for what in each_what(&others) {
        write!(out, "| {what} |").expect("a string takes it");
        cells(&mut out, &others, what);
    }
    out.push('\n');
    out
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// On what it was measured.
fn machine(figures: &[Figure]) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model.trim());
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let loads: Vec<f64> = figures.iter().map(|f| f.load).filter(|load| load.is_finite()).collect();
    let (least, most) =
        loads.iter().fold((f64::INFINITY, 0.0f64), |(a, b), load| (a.min(*load), b.max(*load)));
    let today = jiff::Timestamp::now().to_string();
    let date = today.split('T').next().unwrap_or_default();
    format!(
        "Made on {date} of {}: {cores} cores of {model}, Linux {}. The machine's load average over a minute, this bench's own \
         work included, was {least:.1} to {most:.1} when each figure was taken.",
        common::build::name(),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// Each figure as a bar on a logarithmic scale; what is right of the line is over its bound.
fn picture(figures: &[Figure]) -> String {
    const LEFT: f64 = 420.0;
    const WIDTH: f64 = 420.0;
    const ROW: f64 = 34.0;
    let bounded: Vec<&Figure> = figures.iter().filter(|f| f.share().is_some()).collect();
    let whats = each_what(&bounded);
    // From a hundredth of the bound to ten times it.
    let at = |share: f64| LEFT + WIDTH * ((share.clamp(0.01, 10.0).log10() + 2.0) / 3.0);
    let height = 50.0 + ROW * whats.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        LEFT + WIDTH + 80.0
    );
    for (share, label) in [(0.01, "1/100"), (0.1, "1/10"), (1.0, "bound"), (10.0, "x 10")] {
        let (x, colour) = (at(share), if share == 1.0 { "#c0392b" } else { "#d0d0d0" });
        writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"24\" x2=\"{x:.1}\" y2=\"{:.0}\" stroke=\"{colour}\"/><text x=\"{x:.1}\" y=\"18\" text-anchor=\"middle\">{label}</text>",
            height - 20.0
        )
        .expect("a string takes it");
    }
    for (row, what) in whats.iter().enumerate() {
        let y = 30.0 + ROW * row as f64;
        writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{what}</text>",
            LEFT - 8.0,
            y + 16.0
        )
        .expect("a string takes it");
        for (bar, figure) in bounded.iter().filter(|f| f.what == **what).enumerate() {
            let (y, end) = (y + 12.0 * bar as f64, at(figure.share().unwrap_or(1.0)));
            let colour = match (figure.holds, figure.tree.as_str()) {
                (Some(false), _) => "#c0392b",
                (_, "Bookworm") => "#2e7d5b",
                (_, "Trixie") => "#3f6fb5",
                _ => "#777777",
            };
            writeln!(
                out,
                "<rect x=\"{LEFT:.0}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"10\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.0}\" font-size=\"10\">{} {}</text>",
                (end - LEFT).max(1.0),
                end + 4.0,
                y + 9.0,
                round(figure.value),
                figure.unit
            )
            .expect("a string takes it");
        }
    }
    writeln!(
        out,
        "<text x=\"{LEFT:.0}\" y=\"{:.0}\">green: Debian 12, blue: Debian 13, grey: the machine itself, red: over the bound</text>\n</svg>",
        height - 6.0
    )
    .expect("a string takes it");
    out
}
