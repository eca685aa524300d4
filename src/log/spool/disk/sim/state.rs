//! What a simulated disk holds, and what a power cut makes of it.

use super::{Fault, FaultOn};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Smallest piece that a power cut writes or not, in one of its patterns.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
pub(super) enum Dirty {
    Write { at: usize, data: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub durable: Vec<u8>,
    pub dirty: Vec<Dirty>,
    /// What a reader sees: durable with all writes, also those a failed sync has dropped.
    pub seen: Vec<u8>,
    /// Open handles of this epoch: a removed file lives on while it is read.
    pub handles: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Name {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sim {
    pub rng: u64,
    pub epoch: u64,
    pub nodes: BTreeMap<u64, Node>,
    pub next_node: u64,
    pub names: BTreeMap<PathBuf, u64>,
    pub durable_names: BTreeMap<PathBuf, u64>,
    pub pending: BTreeMap<PathBuf, Vec<Name>>,
    pub dirs: BTreeSet<PathBuf>,
    pub locks: BTreeSet<PathBuf>,
    pub capacity: Option<u64>,
    pub faults: Vec<(Fault, u32)>,
}

impl Sim {
    /// splitmix64: ten lines whose numbers no crate's upgrade will change under a recorded seed.
    pub fn next(&mut self) -> u64 {
        self.rng = self.rng.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.rng;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap_or(0)
    }

    pub fn trip(&mut self, on: FaultOn) -> io::Result<()> {
        let Some(at) = self.faults.iter().position(|(f, _)| f.on == on) else { return Ok(()) };
        let (fault, calls) = &mut self.faults[at];
        *calls += 1;
        if *calls <= fault.after {
            return Ok(());
        }
        let error = fault.error;
        if *calls >= fault.after + fault.times {
            self.faults.remove(at);
        }
        Err(io::Error::new(error, "injected"))
    }

    pub fn used(&self) -> u64 {
        self.nodes.values().map(|n| n.seen.len() as u64).sum()
    }

    pub fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX >> 1, |c| c.saturating_sub(self.used()))
    }

    pub fn dead(&self, epoch: u64) -> io::Result<()> {
        if epoch == self.epoch { Ok(()) } else { Err(io::Error::other("the simulated process is gone")) }
    }

    /// Pulls the plug.
    pub fn crash(&mut self) {
        self.epoch += 1;
        self.locks.clear();
        self.faults.clear();
        let pending = std::mem::take(&mut self.pending);
        let mut names = self.durable_names.clone();
        for ops in pending.into_values() {
            let keep = self.below(ops.len() + 1);
            ops.into_iter().take(keep).for_each(|op| rename(&mut names, op));
        }
        self.durable_names.clone_from(&names);
        self.names = names;
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            let Some(mut node) = self.nodes.remove(&id) else { continue };
            let mut bytes = std::mem::take(&mut node.durable);
            let dirty = std::mem::take(&mut node.dirty);
            match self.below(4) {
                0 => {}
                1 => dirty.iter().for_each(|op| apply(&mut bytes, op)),
                2 => tear(self, &mut bytes, &dirty),
                _ => scatter(self, &mut bytes, &dirty),
            }
            self.nodes.insert(id, Node { seen: bytes.clone(), durable: bytes, ..Node::default() });
        }
        self.sweep();
    }

    /// Ends the process.
    pub fn kill(&mut self) {
        self.epoch += 1;
        self.locks.clear();
        self.faults.clear();
        self.nodes.values_mut().for_each(|n| n.handles = 0);
        self.sweep();
    }

    /// Drops nodes that no name leads to, not even one that a crash may bring back, and that no
    /// live handle reads.
    pub fn sweep(&mut self) {
        let mut live: BTreeSet<u64> = self.names.values().chain(self.durable_names.values()).copied().collect();
        live.extend(self.pending.values().flatten().filter_map(|op| match op {
            Name::Link(_, node) => Some(*node),
            Name::Rename(..) | Name::Unlink(_) => None,
        }));
        self.nodes.retain(|n, node| live.contains(n) || node.handles > 0);
    }
}

pub(super) fn rename(names: &mut BTreeMap<PathBuf, u64>, op: Name) {
    match op {
        Name::Link(path, node) => {
            names.insert(path, node);
        }
        Name::Rename(from, to) => {
            if let Some(node) = names.remove(&from) {
                names.insert(to, node);
            }
        }
        Name::Unlink(path) => {
            names.remove(&path);
        }
    }
}

pub(super) fn apply(bytes: &mut Vec<u8>, op: &Dirty) {
    match op {
        Dirty::Write { at, data } => {
            if bytes.len() < at + data.len() {
                bytes.resize(at + data.len(), 0);
            }
            bytes[*at..at + data.len()].copy_from_slice(data);
        }
        Dirty::SetLen(len) => bytes.resize(*len, 0),
    }
}

pub(super) fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

/// Keeps a prefix of the writes; the last one is cut at any byte.
fn tear(sim: &mut Sim, bytes: &mut Vec<u8>, dirty: &[Dirty]) {
    let keep = sim.below(dirty.len() + 1);
    dirty[..keep].iter().for_each(|op| apply(bytes, op));
    if let Some(Dirty::Write { at, data }) = dirty.get(keep) {
        let cut = sim.below(data.len() + 1);
        apply(bytes, &Dirty::Write { at: *at, data: data[..cut].to_vec() });
    }
}

/// Keeps any sectors of any writes: the device was free to reorder them.
fn scatter(sim: &mut Sim, bytes: &mut Vec<u8>, dirty: &[Dirty]) {
    for op in dirty {
        match op {
            Dirty::SetLen(_) => {
                if sim.below(2) == 0 {
                    apply(bytes, op);
                }
            }
            Dirty::Write { at, data } => {
                let mut from = 0;
                while from < data.len() {
                    let to = data.len().min(((at + from) / SECTOR + 1) * SECTOR - at);
                    if sim.below(2) == 0 {
                        apply(bytes, &Dirty::Write { at: at + from, data: data[from..to].to_vec() });
                    }
                    from = to;
                }
            }
        }
    }
}
