//! Which unit waits for which, and rings in it. An edge is a fact with its origin: a line of a file,
//! or a rule that systemd adds by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// One unit waits for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The unit that waits.
    pub later: String,
    /// What it waits for.
    pub earlier: String,
    /// Who says so.
    pub origin: Origin,
}

/// Who says that a unit waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a unit file or drop-in.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// systemd itself, by this rule.
    Default(&'static str),
}

/// Units that wait for each other in a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// One ring, each edge beginning where the one before it ends.
    pub edges: Vec<Edge>,
    /// Every unit that is in some ring with these: any of them may be left out at boot.
    pub units: BTreeSet<String>,
}

impl Cycle {
    /// The line to change: the first of a file that `wanted` accepts, else the first of any.
    pub fn place(&self, wanted: impl Fn(&Path) -> bool) -> Option<(PathBuf, usize)> {
        let lines = || {
            self.edges.iter().filter_map(|edge| match &edge.origin {
                Origin::Line { path, line } => Some((path.clone(), *line)),
                Origin::Default(_) => None,
            })
        };
        lines().find(|(path, _)| wanted(path)).or_else(|| lines().next())
    }
}

/// One cycle for each set of units that wait for each other: the shortest ring through an edge that
/// `suspect` points at, else through any.
pub fn cycles(edges: &[Edge], suspect: impl Fn(&Edge) -> bool) -> Vec<Cycle> {
    let graph = Graph::of(edges);
    let mut found = Vec::new();
    for units in graph.knots() {
        let inside: Vec<&Edge> = edges
            .iter()
            .filter(|e| units.contains(e.later.as_str()) && units.contains(e.earlier.as_str()))
            .collect();
        let suspects: Vec<&Edge> = inside.iter().copied().filter(|e| suspect(e)).collect();
        if let Some(ring) = graph.shortest(&suspects, &units).or_else(|| graph.shortest(&inside, &units)) {
            let units = units.iter().map(|u| (*u).to_owned()).collect();
            found.push(Cycle { edges: ring.into_iter().cloned().collect(), units });
        }
    }
    found
}

struct Graph<'a> {
    out: BTreeMap<&'a str, Vec<&'a Edge>>,
}

impl<'a> Graph<'a> {
    fn of(edges: &'a [Edge]) -> Self {
        let mut out: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
        for edge in edges {
            out.entry(&edge.later).or_default().push(edge);
        }
        Self { out }
    }

    fn from(&self, unit: &str) -> impl Iterator<Item = &'a Edge> + use<'a, '_> {
        self.out.get(unit).into_iter().flatten().copied()
    }

    /// The sets of units in which each waits for each other (Kosaraju's algorithm, without recursion).
    fn knots(&self) -> Vec<BTreeSet<&'a str>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for start in self.out.keys() {
            let mut stack = vec![(*start, false)];
            while let Some((unit, done)) = stack.pop() {
                if done {
                    order.push(unit);
                } else if seen.insert(unit) {
                    stack.push((unit, true));
                    stack.extend(self.from(unit).map(|e| (e.earlier.as_str(), false)));
                }
            }
        }
        let mut back: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for edge in self.out.values().flatten() {
            back.entry(&edge.earlier).or_default().push(&edge.later);
        }
        let mut placed = BTreeSet::new();
        let mut knots = Vec::new();
        for start in order.into_iter().rev() {
            let mut knot = BTreeSet::new();
            let mut stack = vec![start];
            while let Some(unit) = stack.pop() {
                if placed.insert(unit) {
                    knot.insert(unit);
                    stack.extend(back.get(unit).into_iter().flatten());
                }
            }
            let alone = knot.len() == 1 && self.from(start).all(|e| e.earlier != start);
            if !knot.is_empty() && !alone {
                knots.push(knot);
            }
        }
        knots
    }

    /// The shortest ring through one of these edges.
    fn shortest(&self, edges: &[&'a Edge], within: &BTreeSet<&str>) -> Option<Vec<&'a Edge>> {
        edges.iter().filter_map(|edge| self.ring(edge, within)).min_by_key(Vec::len)
    }

    /// The shortest ring through an edge, beginning with it.
    fn ring(&self, through: &'a Edge, within: &BTreeSet<&str>) -> Option<Vec<&'a Edge>> {
        let mut came: BTreeMap<&str, &'a Edge> = BTreeMap::new();
        let mut queue = VecDeque::from([through.earlier.as_str()]);
        while let Some(unit) = queue.pop_front() {
            if unit == through.later {
                let mut ring = Vec::new();
                let mut at = unit;
                while at != through.earlier {
                    let edge = came[at];
                    ring.push(edge);
                    at = &edge.later;
                }
                ring.push(through);
                ring.reverse();
                return Some(ring);
            }
            for edge in self.from(unit).filter(|e| within.contains(e.earlier.as_str())) {
                if edge.earlier != through.earlier && !came.contains_key(edge.earlier.as_str()) {
                    came.insert(&edge.earlier, edge);
                    queue.push_back(&edge.earlier);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(pairs: &[(&str, &str)]) -> Vec<Edge> {
        let edge = |(at, (later, earlier)): (usize, &(&str, &str))| Edge {
            later: (*later).to_owned(),
            earlier: (*earlier).to_owned(),
            origin: Origin::Line { path: "f".into(), line: at + 1 },
        };
        pairs.iter().enumerate().map(edge).collect()
    }

    fn rings(pairs: &[(&str, &str)]) -> Vec<String> {
        let shown =
            |cycle: &Cycle| cycle.edges.iter().map(|e| e.later.as_str()).collect::<Vec<_>>().join(">");
        cycles(&edges(pairs), |_| false).iter().map(shown).collect()
    }

    #[test]
    fn rings_are_found_and_chains_are_none() {
        assert_eq!(rings(&[("a", "b"), ("b", "c"), ("a", "c")]), Vec::<String>::new());
        assert_eq!(rings(&[("a", "b"), ("b", "a")]), ["a>b"]);
        assert_eq!(rings(&[("a", "a")]), ["a"]);
        assert_eq!(rings(&[("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]), ["a>b>c"]);
        assert_eq!(rings(&[("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]).len(), 2);
    }

    #[test]
    fn a_ring_begins_with_the_edge_that_is_suspected() {
        let all = edges(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")]);
        let found = cycles(&all, |e| e.later == "c");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].edges[0].later, "c");
        assert_eq!(found[0].edges.len(), 3);
        assert_eq!(found[0].units.len(), 3);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let names: Vec<String> = (0..50_000).map(|n| format!("u{n:05}")).collect();
        let pairs: Vec<(&str, &str)> =
            (0..names.len()).map(|n| (names[n].as_str(), names[(n + 1) % names.len()].as_str())).collect();
        let all = edges(&pairs);
        let found = cycles(&all, |e| e.later == "u00000");
        assert_eq!(found[0].edges.len(), 50_000);
    }
}
