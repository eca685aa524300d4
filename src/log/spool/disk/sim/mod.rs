//! A disk in memory that crashes by seed. For simulations and tests.
//!
//! Every file has what is durable and a list of writes that are not yet. A power cut
//! ([`SimDisk::crash`]) chooses for each file whether those are lost, kept, torn at any byte or
//! kept sector by sector in any pattern, and for each folder how many of the pending names stay.
//! A killed process ([`SimDisk::kill`]) loses nothing. Both leave every open handle dead, as they
//! would be. A failed sync drops the dirty pages and still shows them to readers, as Linux does.

mod state;

use super::{Disk, DiskFile, Open};
use state::{Dirty, Name, Node, Sim, apply, not_found, rename};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOn {
    /// [`DiskFile::write_at`]; half of the data is written before the error.
    Write,
    /// [`DiskFile::sync_data`] and [`Disk::sync_dir`]; what was dirty is dropped.
    Sync,
    /// [`DiskFile::read_at`].
    Read,
    /// [`DiskFile::set_len`].
    SetLen,
    /// [`Disk::open`] with [`Open::Create`].
    Create,
    /// [`Disk::rename`] and [`Disk::remove`].
    Name,
}

/// One injected failure.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What it hits.
    pub on: FaultOn,
    /// How many such calls succeed before it.
    pub after: u32,
    /// How many calls in a row fail then.
    pub times: u32,
    /// The error.
    pub error: io::ErrorKind,
}

/// A disk in memory; clones share it.
///
/// What [`SimDisk::new`] and [`SimDisk::fork`] return is the machine. A clone belongs to the
/// simulated process that runs when it is made: after a crash or a kill it is dead, with all that
/// was opened through it.
#[derive(Debug)]
pub struct SimDisk {
    shared: Arc<Mutex<Sim>>,
    process: Option<u64>,
}

impl Clone for SimDisk {
    fn clone(&self) -> Self {
        let process = self.process.unwrap_or_else(|| self.sim().epoch);
        self.of(process)
    }
}

/// A file of a [`SimDisk`]. Dead (every call fails) after a crash or a kill.
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    node: u64,
    epoch: u64,
}

/// A lock of a [`SimDisk`].
#[derive(Debug)]
pub struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    epoch: u64,
}

impl SimDisk {
    /// An empty disk without limit. The same seed and calls give the same crashes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SimDisk::machine(Sim { rng: seed, ..Sim::default() })
    }

    fn sim(&self) -> MutexGuard<'_, Sim> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn machine(sim: Sim) -> Self {
        SimDisk { shared: Arc::new(Mutex::new(sim)), process: None }
    }

    /// A handle of the process that runs in `epoch`.
    fn of(&self, epoch: u64) -> Self {
        SimDisk { shared: self.shared.clone(), process: Some(epoch) }
    }

    /// For calls of the simulated process.
    fn live(&self) -> io::Result<MutexGuard<'_, Sim>> {
        let sim = self.sim();
        sim.dead(self.process.unwrap_or(sim.epoch))?;
        Ok(sim)
    }

    /// Pulls the plug: what was not synced is lost, torn or kept as the seed says.
    pub fn crash(&self) {
        self.sim().crash();
    }

    /// Kills the process: the page cache stays, handles and locks go.
    pub fn kill(&self) {
        self.sim().kill();
    }

    /// An independent copy as it is now, with dead handles and no locks.
    #[must_use]
    pub fn fork(&self) -> SimDisk {
        let copy = SimDisk::machine(self.sim().clone());
        copy.kill();
        copy
    }

    /// Limits the sum of all files' lengths; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.sim().capacity = bytes;
    }

    /// Sum of all files' lengths.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.sim().used()
    }

    /// Plans a failure.
    pub fn inject(&self, fault: Fault) {
        self.sim().faults.push((fault, 0));
    }

    /// Forgets planned failures.
    pub fn heal(&self) {
        self.sim().faults.clear();
    }

    /// All files, by path.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.sim().names.keys().cloned().collect()
    }

    /// Content of a file as a reader sees it.
    ///
    /// Errors: `NotFound`.
    pub fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        let sim = self.sim();
        let node = sim.names.get(path).and_then(|n| sim.nodes.get(n)).ok_or_else(|| not_found(path))?;
        Ok(node.seen.clone())
    }

    /// Replaces a file's content durably, behind everybody's back: bit rot and torn tails.
    ///
    /// Errors: `NotFound`.
    pub fn damage(&self, path: &Path, content: Vec<u8>) -> io::Result<()> {
        let mut sim = self.sim();
        let id = *sim.names.get(path).ok_or_else(|| not_found(path))?;
        let handles = sim.nodes.get(&id).map_or(0, |n| n.handles);
        sim.nodes.insert(id, Node { seen: content.clone(), durable: content, dirty: Vec::new(), handles });
        Ok(())
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        // Folders are durable at once: losing one with all it holds tests nothing but the set-up.
        self.live()?.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<SimFile> {
        let mut sim = self.live()?;
        let known = sim.names.get(path).copied();
        let node = match (known, how) {
            (Some(node), Open::Create) => {
                sim.trip(FaultOn::Create)?;
                if let Some(n) = sim.nodes.get_mut(&node) {
                    n.seen.clear();
                    n.dirty.push(Dirty::SetLen(0));
                }
                node
            }
            (Some(node), _) => node,
            (None, Open::Create) => {
                sim.trip(FaultOn::Create)?;
                let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
                if !sim.dirs.contains(&dir) {
                    return Err(not_found(&dir));
                }
                if sim.room() == 0 {
                    return Err(io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full"));
                }
                let node = sim.next_node;
                sim.next_node += 1;
                sim.nodes.insert(node, Node::default());
                sim.names.insert(path.to_path_buf(), node);
                sim.pending.entry(dir).or_default().push(Name::Link(path.to_path_buf(), node));
                node
            }
            (None, _) => return Err(not_found(path)),
        };
        if let Some(n) = sim.nodes.get_mut(&node) {
            n.handles += 1;
        }
        Ok(SimFile { disk: self.of(sim.epoch), node, epoch: sim.epoch })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let sim = self.live()?;
        if !sim.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        let all = sim.names.keys().chain(sim.dirs.iter());
        let inside = all.filter(|p| p.parent() == Some(dir));
        Ok(inside.filter_map(|p| p.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut sim = self.live()?;
        sim.trip(FaultOn::Name)?;
        let node = sim.names.remove(from).ok_or_else(|| not_found(from))?;
        sim.names.insert(to.to_path_buf(), node);
        let dir = to.parent().unwrap_or(Path::new("")).to_path_buf();
        let op = Name::Rename(from.to_path_buf(), to.to_path_buf());
        sim.pending.entry(dir).or_default().push(op);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut sim = self.live()?;
        sim.trip(FaultOn::Name)?;
        sim.names.remove(path).ok_or_else(|| not_found(path))?;
        let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
        sim.pending.entry(dir).or_default().push(Name::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut sim = self.live()?;
        sim.trip(FaultOn::Sync)?;
        for op in sim.pending.remove(dir).unwrap_or_default() {
            rename(&mut sim.durable_names, op);
        }
        sim.sweep();
        Ok(())
    }

    fn free(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.live()?.room())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<SimLock>> {
        let mut sim = self.live()?;
        let epoch = sim.epoch;
        let taken = sim.locks.insert(path.to_path_buf());
        Ok(taken.then(|| SimLock { disk: self.of(epoch), path: path.to_path_buf(), epoch }))
    }

    fn entropy(&self) -> u64 {
        self.sim().next()
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut sim = self.disk.sim();
        if sim.epoch == self.epoch {
            sim.locks.remove(&self.path);
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut sim = self.disk.sim();
        if sim.epoch == self.epoch
            && let Some(node) = sim.nodes.get_mut(&self.node)
        {
            node.handles -= 1;
            if node.handles == 0 {
                sim.sweep();
            }
        }
    }
}

impl SimFile {
    fn with<T>(&self, f: impl FnOnce(&mut Sim) -> io::Result<T>) -> io::Result<T> {
        let mut sim = self.disk.sim();
        sim.dead(self.epoch)?;
        if !sim.nodes.contains_key(&self.node) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the simulated file was removed"));
        }
        f(&mut sim)
    }

    fn change(&self, sim: &mut Sim, op: Dirty) {
        if let Some(node) = sim.nodes.get_mut(&self.node) {
            apply(&mut node.seen, &op);
            node.dirty.push(op);
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(|sim| {
            sim.trip(FaultOn::Read)?;
            let seen = sim.nodes.get(&self.node).map_or(&[][..], |n| &n.seen);
            let from = usize::try_from(at).unwrap_or(usize::MAX).min(seen.len());
            let n = buf.len().min(seen.len() - from);
            buf[..n].copy_from_slice(&seen[from..from + n]);
            Ok(n)
        })
    }

    fn write_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        self.with(|sim| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let tripped = sim.trip(FaultOn::Write);
            let len = sim.nodes.get(&self.node).map_or(0, |n| n.seen.len());
            let growth = (at + data.len()).saturating_sub(len) as u64;
            let room = sim.room();
            let lacking = usize::try_from(growth.saturating_sub(room)).unwrap_or(usize::MAX);
            // A real write on a full disk takes what fits and then fails: so does this one.
            let fits = if tripped.is_err() { data.len() / 2 } else { data.len() };
            let fits = fits.min(data.len().saturating_sub(lacking));
            if fits > 0 {
                self.change(sim, Dirty::Write { at, data: data[..fits].to_vec() });
            }
            tripped?;
            if fits < data.len() {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full"));
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|sim| {
            let tripped = sim.trip(FaultOn::Sync);
            if let Some(node) = sim.nodes.get_mut(&self.node) {
                let dirty = std::mem::take(&mut node.dirty);
                if tripped.is_ok() {
                    dirty.iter().for_each(|op| apply(&mut node.durable, op));
                }
            }
            tripped
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|sim| Ok(sim.nodes.get(&self.node).map_or(0, |n| n.seen.len() as u64)))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|sim| {
            sim.trip(FaultOn::SetLen)?;
            self.change(sim, Dirty::SetLen(usize::try_from(len).unwrap_or(usize::MAX)));
            Ok(())
        })
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let have = self.len()?;
        let zeros = vec![0; usize::try_from(len.saturating_sub(have)).unwrap_or(0)];
        self.write_at(&zeros, have)
    }
}
