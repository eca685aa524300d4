//! Replay: a record that was poison once and is none any more goes into the log again.
//!
//! Only a record that **every** reader of its log has put aside is appended again, as the bytes it
//! had (the same event id, the same time of receipt, and so the same price): no sink holds it, so
//! nothing is counted twice. Its letters stay, since its old place in the log stays uncounted.
//!
//! What one sink put aside and others hold (it was of an older version than they) can go again **to
//! that sink alone**: as a record that only it takes ([`frame::address`]) and that the others put
//! aside without a loss. Either way a sink gets a record once: see [`super::marks`].
//!
//! What a crash leaves behind at each boundary:
//!
//! | crash after | the letters' log says | the events' log holds | the next replay |
//! | --- | --- | --- | --- |
//! | checks | nothing | nothing of it | begins |
//! | begun mark | begun, with the end of the log | nothing, or the record behind that end | looks from there on; appends what is not there |
//! | append | the same | the record | finds it, writes the done mark, says so |
//! | done mark | done | the record | is refused |
//!
//! So between the marks the log itself is asked, and a record is appended again only when it is
//! not there: in a spool by its bytes, in a topic by its key, behind barriers as the forwarder's.
//! Two replays of one record at the same time: the marks' order decides ([`super::marks`]), and the
//! other is refused.

mod ports;

pub use ports::{Book, Landed, Landing, OnItsWay, Standing, Target, TargetError};

use super::Key;
use super::letters::LettersError;
use super::marks::{Begun, Done, Mark, Place, Replay};
use penstock::codec::frame;
use penstock::log::Offset;
use penstock::pipeline::GAP;
use penstock::time::{Clock, Micros};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Most letters of one call.
pub const MOST: usize = 1_000;
/// Records that are in memory at once; each may have a megabyte.
const CHUNK: usize = 32;
/// A replay that has come no further by then gives up its record to whoever looks next, and does
/// not append it any more.
const LONGEST: Duration = Duration::from_secs(60);

/// A letter whose record was appended again, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The letter.
    pub key: Key,
    /// Where its record is now; `None` when it was only asked whether it could be.
    pub landed: Option<Landed>,
}

/// A letter that was left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The letter.
    pub key: Key,
    /// Why: a stable name.
    pub code: &'static str,
    /// One sentence for a person.
    pub why: String,
}

/// What came of the letters of a call, each in one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Appended again.
    pub replayed: Vec<Replayed>,
    /// Left alone.
    pub refused: Vec<Refused>,
}

/// What a call wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// These letters; at most [`MOST`] are looked at.
    pub letters: Vec<Key>,
    /// Who wants it.
    pub who: String,
    /// To this sink alone; `None`: to all.
    pub to: Option<String>,
    /// Only says what would be done.
    pub dry_run: bool,
}

/// Replays letters, one call at a time.
pub struct Replayer<B, T> {
    book: B,
    target: T,
    clock: Arc<dyn Clock>,
    one: Mutex<()>,
}

/// A record that may go.
struct Candidate {
    place: Place,
    body: Vec<u8>,
    landing: Option<Landing>,
    pending: Option<(Offset, Micros, Begun)>,
}

/// What came of a record.
type Verdict = Result<Option<Landed>, (&'static str, String)>;

impl<B: Book, T: Target> Replayer<B, T> {
    /// Replays the letters of `book` into `target`.
    pub fn new(book: B, target: T, clock: Arc<dyn Clock>) -> Self {
        Replayer { book, target, clock, one: Mutex::new(()) }
    }

    /// Appends again what may be. Letters of one record share what comes of it.
    ///
    /// Errors: the letters cannot be read, or no mark can be written; what was done before is done.
    pub async fn replay(&self, wanted: &Wanted) -> Result<Report, LettersError> {
        let _one = self.one.lock().await;
        let letters = &wanted.letters[..wanted.letters.len().min(MOST)];
        let places: BTreeSet<Place> = letters.iter().map(Key::place).collect();
        let places: Vec<Place> = places.into_iter().collect();
        let mut verdicts = BTreeMap::new();
        let mut there = BTreeSet::new();
        for chunk in places.chunks(CHUNK) {
            let standings = self.book.standing(chunk).await?;
            let mut candidates = Vec::new();
            for (place, standing) in chunk.iter().zip(standings) {
                there.extend(standing.sinks.iter().map(|sink| (sink.clone(), place.clone())));
                let checked = match self.framed(place, standing).await {
                    Ok(standing) => self.check(place, standing, wanted.to.as_deref()),
                    Err(refused) => Err(refused),
                };
                match checked {
                    Ok(candidate) => candidates.push(candidate),
                    Err(refused) => drop(verdicts.insert(place.clone(), Err(refused))),
                }
            }
            if wanted.dry_run {
                verdicts.extend(candidates.into_iter().map(|c| (c.place, Ok(None))));
            } else {
                self.carry(candidates, wanted, &mut verdicts).await?;
            }
        }
        let mut report = Report::default();
        for key in letters {
            let verdict: Option<&Verdict> =
                verdicts.get(&key.place()).filter(|_| there.contains(&(key.sink.clone(), key.place())));
            match verdict.cloned() {
                Some(Ok(landed)) => report.replayed.push(Replayed { key: key.clone(), landed }),
                Some(Err((code, why))) => report.refused.push(Refused { key: key.clone(), code, why }),
                None => {
                    let (code, why) = ("dead_letter_not_found", "there is no such dead letter".to_owned());
                    report.refused.push(Refused { key: key.clone(), code, why });
                }
            }
        }
        Ok(report)
    }

    /// Puts a record that stands in the registry's framing into that of the log.
    async fn framed(&self, place: &Place, mut standing: Standing) -> Result<Standing, (&'static str, String)> {
        if let Some(letter) = &mut standing.letter
            && letter.body.len() as u64 == letter.body_bytes
        {
            let framed = self.target.framed(place, std::mem::take(&mut letter.body)).await;
            letter.body = framed.map_err(|error| match error {
                TargetError::Refused(why) => ("refused", why),
                TargetError::Unknown(why) => ("registry_away", why),
            })?;
            letter.body_bytes = letter.body.len() as u64;
        }
        Ok(standing)
    }

    /// Whether the record may be appended again, as far as letters can tell.
    fn check(&self, place: &Place, standing: Standing, to: Option<&str>) -> Result<Candidate, (&'static str, String)> {
        let Standing { sinks, letter, replays } = standing;
        let Some(letter) = letter else {
            return Err(("dead_letter_not_found", "there is no such dead letter".to_owned()));
        };
        if letter.code == GAP {
            return Err(("gap", "a gap is no record; see `penstock gap`".to_owned()));
        }
        let pending = pending(replays, to)?;
        let readers = self.target.readers(&place.log);
        let aside = |reader: &&str| sinks.iter().any(|sink| **sink == **reader);
        match to {
            Some(to) if !(readers.contains(&to) && aside(&to)) => {
                return Err(("not_put_aside", format!("{to} did not put it aside")));
            }
            Some(_) => {}
            None => {
                let holds: Vec<&str> = readers.iter().filter(|r| !aside(r)).copied().collect();
                if !holds.is_empty() {
                    let why = format!("{} did not put it aside: it holds it, or has not come to it", holds.join(", "));
                    return Err(("not_everywhere", why));
                }
            }
        }
        if letter.body.is_empty() || letter.body.len() as u64 != letter.body_bytes {
            return Err(("body_lost", "the letter does not hold the whole record".to_owned()));
        }
        let body = match frame::addressed(&letter.body) {
            Some((only, _)) if to != Some(only) => {
                return Err(("elsewhere", format!("it was replayed to {only} alone, and can go to it alone again")));
            }
            _ => frame::inside(&letter.body),
        };
        if let Err(error) = frame::check(body) {
            return Err((error.code().name(), format!("it is still poison: {error}")));
        }
        if let Some((_, at, begun)) = &pending
            && self.clock.now().since(*at) < self.target.patience()
        {
            let why = format!("{} began to replay it at {at}; try again later", begun.who);
            return Err(("under_way", why));
        }
        let body = match to {
            // Where one sink reads alone, it needs no address.
            Some(to) if readers.len() > 1 => {
                let mut addressed = Vec::with_capacity(body.len() + 32);
                frame::address(to, body, &mut addressed);
                addressed
            }
            _ => body.to_vec(),
        };
        Ok(Candidate { place: place.clone(), body, landing: None, pending })
    }

    /// Takes candidates through find ▸ begin ▸ append ▸ done.
    async fn carry(
        &self,
        mut candidates: Vec<Candidate>,
        wanted: &Wanted,
        verdicts: &mut BTreeMap<Place, Verdict>,
    ) -> Result<(), LettersError> {
        let mut done = Vec::new();
        self.find(&mut candidates, &mut done, verdicts).await;
        let began = Instant::now();
        let ours = self.begin(candidates, wanted, verdicts).await?;
        let on_its_way: Vec<OnItsWay<'_>> = ours.iter().map(|(c, begun, at)| on_its_way(c, begun, *at)).collect();
        let appended = if began.elapsed() < LONGEST { self.target.append(&on_its_way).await } else { Vec::new() };
        for ((candidate, begun, _), landed) in ours.iter().zip(appended) {
            match landed {
                Ok(landed) => done.push((candidate.place.clone(), begun.who.clone(), landed)),
                Err(TargetError::Refused(why)) => {
                    verdicts.insert(candidate.place.clone(), Err(("refused", why)));
                }
                Err(TargetError::Unknown(why)) => {
                    let why = format!("{why}; replay it again to see whether it arrived");
                    verdicts.insert(candidate.place.clone(), Err(("unknown", why)));
                }
            }
        }
        for (candidate, ..) in &ours {
            let late = || Err(("unknown", "it took too long; replay it again".to_owned()));
            if !done.iter().any(|(place, ..)| *place == candidate.place) {
                verdicts.entry(candidate.place.clone()).or_insert_with(late);
            }
        }
        if done.is_empty() {
            return Ok(());
        }
        let marks = done.iter().map(|(place, who, landed)| {
            let Landed { log, partition, offset } = landed.clone();
            (place.clone(), Mark::Replayed(Done { who: who.clone(), sink: wanted.to.clone(), log, partition, offset }))
        });
        let written = self.book.write(marks.collect()).await;
        for (place, _, landed) in done {
            let verdict = match &written {
                Ok(()) => Ok(Some(landed)),
                // It is there, and the next replay finds it.
                Err(error) => Err(("unknown", format!("it was appended, but {error}; replay it again"))),
            };
            verdicts.insert(place, verdict);
        }
        Ok(())
    }

    /// Looks for what earlier lives had begun: what is there is done, and leaves the candidates.
    async fn find(
        &self,
        candidates: &mut Vec<Candidate>,
        done: &mut Vec<(Place, String, Landed)>,
        verdicts: &mut BTreeMap<Place, Verdict>,
    ) {
        let pending: Vec<&Candidate> = candidates.iter().filter(|c| c.pending.is_some()).collect();
        let sought: Vec<OnItsWay<'_>> =
            pending.iter().filter_map(|c| c.pending.as_ref().map(|(_, at, begun)| on_its_way(c, begun, *at))).collect();
        if sought.is_empty() {
            return;
        }
        let found = self.target.find(&sought).await;
        let mut settled = BTreeSet::new();
        for (sought, found) in sought.iter().zip(found) {
            match found {
                Ok(Some(landed)) => done.push((sought.place.clone(), sought.begun.who.clone(), landed)),
                Ok(None) => continue,
                Err(error) => drop(verdicts.insert(sought.place.clone(), Err(("unknown", error.to_string())))),
            }
            settled.insert(sought.place.clone());
        }
        candidates.retain(|c| !settled.contains(&c.place));
    }

    /// Writes the marks that replays begin with; returns those that took hold.
    async fn begin(
        &self,
        mut candidates: Vec<Candidate>,
        wanted: &Wanted,
        verdicts: &mut BTreeMap<Place, Verdict>,
    ) -> Result<Vec<(Candidate, Begun, Micros)>, LettersError> {
        for candidate in &mut candidates {
            match self.target.landing(&candidate.place, &candidate.body).await {
                Ok(landing) => candidate.landing = Some(landing),
                Err(error) => {
                    verdicts.insert(candidate.place.clone(), Err(("refused", error.to_string())));
                }
            }
        }
        let batch = rand::random::<u64>();
        let now = self.clock.now();
        let mut ours = Vec::new();
        for (number, mut candidate) in (0..).zip(candidates) {
            let Some(Landing { log, floors }) = candidate.landing.take() else { continue };
            let after = candidate.pending.as_ref().map(|(mark, ..)| *mark);
            let (who, sink) = (wanted.who.clone(), wanted.to.clone());
            ours.push((candidate, Begun { who, batch, number, after, sink, log, floors }, now));
        }
        if ours.is_empty() {
            return Ok(ours);
        }
        let marks = ours.iter().map(|(c, begun, _)| (c.place.clone(), Mark::ReplayBegun(begun.clone())));
        self.book.write(marks.collect()).await?;
        let places: Vec<Place> = ours.iter().map(|(c, ..)| c.place.clone()).collect();
        let standings = self.book.standing(&places).await?;
        let mut held = standings.into_iter();
        ours.retain(|(candidate, begun, _)| {
            let holds = |replay: &Replay| matches!(replay, Replay::Begun { begun: holds, .. } if holds == begun);
            let is_ours = held.next().is_some_and(|standing| standing.replays.iter().any(holds));
            if !is_ours {
                let why = "somebody else began to replay it at the same time".to_owned();
                verdicts.insert(candidate.place.clone(), Err(("under_way", why)));
            }
            is_ours
        });
        Ok(ours)
    }
}

/// What was begun with the record and this aim, and not ended. Errors: it went already, or to all
/// where one is wanted, or to one where all are.
fn pending(replays: Vec<Replay>, to: Option<&str>) -> Result<Option<(Offset, Micros, Begun)>, (&'static str, String)> {
    let mut pending = None;
    for replay in replays {
        let aim = replay.sink().map(str::to_owned);
        let whom = aim.as_deref().map_or_else(String::new, |sink| format!(" to {sink} alone"));
        match replay {
            // Another sink's own replay is nothing to this one.
            _ if to.is_some() && aim.is_some() && aim.as_deref() != to => {}
            Replay::Done { at, done } => {
                let offset = done.offset.map_or(String::new(), |o| format!(" at offset {o}"));
                let Done { who, log, partition, .. } = done;
                let why = format!("{who} replayed it{whom} at {at}; it is in {log}/{partition}{offset}");
                return Err(("replayed", why));
            }
            Replay::Begun { at, begun, .. } if aim.as_deref() != to => {
                let whom = if whom.is_empty() { " to all".to_owned() } else { whom };
                let why = format!(
                    "{} began to replay it{whom} at {at}; replay it so again to see whether it arrived",
                    begun.who
                );
                return Err(("under_way", why));
            }
            Replay::Begun { mark, at, begun } => pending = Some((mark, at, begun)),
        }
    }
    Ok(pending)
}

fn on_its_way<'a>(candidate: &'a Candidate, begun: &'a Begun, at: Micros) -> OnItsWay<'a> {
    OnItsWay { place: &candidate.place, begun, at, body: &candidate.body }
}

#[cfg(test)]
mod tests;
