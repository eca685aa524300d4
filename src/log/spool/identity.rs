//! `spool.id`: who this spool is, and which format it has.
//!
//! Two equal lines of text, so that one flipped bit does not take the spool's name away (and an
//! empty one between them, since that bit may be the line's end).

use super::disk::{Disk, DiskFile, Open};
use super::error::{FileError, OpenError, at};
use super::format::{Identity, VERSION};
use std::io::ErrorKind;
use std::path::Path;

const FILE: &str = "spool.id";

/// Reads the identity, or makes one when the folder is new (`fresh`: it has no segment).
pub(super) fn load<D: Disk>(disk: &D, dir: &Path, fresh: bool) -> Result<Identity, OpenError> {
    let path = dir.join(FILE);
    let file = match disk.open(&path, Open::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound && fresh => return Ok(make(disk, dir)?),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(OpenError::Identity { path, why: "it is missing, but there are segments".to_owned() });
        }
        Err(e) => return Err(at("open", &path)(e).into()),
    };
    let mut bytes = [0; 512];
    let n = file.read_at(&mut bytes, 0).map_err(at("read", &path))?;
    let text = String::from_utf8_lossy(&bytes[..n]);
    let mut newer = None;
    for line in text.lines() {
        match parse(line) {
            Some((version, identity)) if version <= VERSION => return Ok(identity),
            Some((version, _)) => newer = Some(version),
            None => {}
        }
    }
    match newer {
        Some(found) => Err(OpenError::Newer { path, found, known: VERSION }),
        None => Err(OpenError::Identity { path, why: "no line of it has a valid checksum".to_owned() }),
    }
}

fn make<D: Disk>(disk: &D, dir: &Path) -> Result<Identity, FileError> {
    let identity = Identity { id: disk.entropy(), salt: disk.entropy() };
    let line = line(VERSION, identity);
    let (path, tmp) = (dir.join(FILE), dir.join("spool.tmp"));
    let file = disk.open(&tmp, Open::Create).map_err(at("create", &tmp))?;
    file.write_at(format!("{line}\n\n{line}\n").as_bytes(), 0).map_err(at("write", &tmp))?;
    file.sync_data().map_err(at("sync", &tmp))?;
    disk.rename(&tmp, &path).map_err(at("rename", &tmp))?;
    disk.sync_dir(dir).map_err(at("sync", dir))?;
    Ok(identity)
}

fn line(version: u16, identity: Identity) -> String {
    let body = format!("penstock-spool {version} {:016x} {:016x}", identity.id, identity.salt);
    format!("{body} {:08x}", crc32c::crc32c(body.as_bytes()))
}

fn parse(text: &str) -> Option<(u16, Identity)> {
    let mut words = text.split(' ');
    if words.next() != Some("penstock-spool") {
        return None;
    }
    let version = words.next()?.parse().ok()?;
    let mut hex = || u64::from_str_radix(words.next()?, 16).ok();
    let identity = Identity { id: hex()?, salt: hex()? };
    (line(version, identity) == text).then_some((version, identity))
}
