//! What is pure, measured: reading rosters and rendering them. `cargo bench` runs it; the bound is one second
//! for a thousand tenants of thirteen agents on one core.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use mosaic_fleet::layout::Layout;
use mosaic_fleet::names::HostName;
use mosaic_fleet::render::{Site, render};
use mosaic_fleet::roster::{self, Profile};

fn site(tenant: usize) -> Site {
    Site {
        layout: Layout::new(format!("/home/t{tenant}"), None),
        host: HostName::parse("bench").expect("a name"),
        program: "/usr/bin/fleet".into(),
        tmux: "/usr/bin/tmux".into(),
    }
}

fn benches(c: &mut Criterion) {
    let text = Profile::Usc.text();
    let read = || roster::read(text, Path::new("roster.yaml"), "usc").expect("a good roster");
    c.bench_function("read a roster of 13 agents", |b| b.iter(|| black_box(read())));
    let mut group = c.benchmark_group("slow");
    group.sample_size(10);
    group.bench_function("read and render 1000 tenants of 13 agents", |b| {
        b.iter(|| {
            for tenant in 0..1000 {
                black_box(render(&read(), &site(tenant)).expect("it renders"));
            }
        });
    });
    group.finish();
}

criterion_group!(pure, benches);
criterion_main!(pure);
