//! The root supervisor: named children, where they run, how they stand, and an orderly stop.
//!
//! The actor only adds and looks up; waiting (for a stop, for a stage) happens in the caller, over
//! `watch` cells, so the root's mailbox never stands behind a slow child.

use super::child::{Child, ChildActor, ChildState, ChildStatus, Cut, Place, Restart};
use super::mailbox::{AskError, Mailbox, SendError};
use crate::settings::PipelineSettings;
use actix::{Actor, Arbiter, ArbiterHandle, Context, Handler, Message};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longest time the root takes to add or look up a child; it does nothing else.
const ROOT_ANSWERS: Duration = Duration::from_secs(10);
/// How long a life that was cut has to be dropped.
const CUT_TAKES: Duration = Duration::from_secs(1);

/// Why a child was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The name is taken.
    #[error("there is a child called {0} already")]
    Taken(String),
    /// No thread could be made for it.
    #[error("cannot start a thread for {name}: {source}")]
    Thread {
        /// The child.
        name: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The supervisor did not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// What a stop came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Children that had ended by themselves before the deadline.
    pub clean: Vec<String>,
    /// Children whose life was dropped at the deadline; what they had begun is found again.
    pub cut: Vec<String>,
    /// Children whose thread does not even answer that.
    pub stuck: Vec<String>,
}

#[derive(Clone)]
struct Managed {
    stage: u8,
    stop: CancellationToken,
    mailbox: Mailbox<ChildActor>,
    status: watch::Receiver<ChildStatus>,
}

type Managing = BTreeMap<String, Managed>;

/// Runs named children. Cheap to clone; must be made inside an actix system.
#[derive(Clone)]
pub struct Supervisor {
    root: Mailbox<Root>,
    children: watch::Receiver<Managing>,
}

struct Root {
    settings: PipelineSettings,
    seed: u64,
    threads: Vec<(Arbiter, usize)>,
    children: watch::Sender<Managing>,
    stopping: bool,
}

impl Supervisor {
    /// Starts the root actor on this thread. `seed` is that of the back-off's jitter.
    #[must_use]
    pub fn start(settings: PipelineSettings, seed: u64) -> Self {
        let (sender, children) = watch::channel(Managing::new());
        let root = Root::create(|ctx| {
            ctx.set_mailbox_capacity(settings.control_mailbox);
            Root { settings, seed, threads: Vec::new(), children: sender, stopping: false }
        });
        Supervisor { root: Mailbox::new(root, "the supervisor"), children }
    }

    /// Starts a child. Errors: [`AddError`].
    pub async fn add(&self, child: Child) -> Result<(), AddError> {
        self.root.ask(ROOT_ANSWERS, |answer| Add { child, answer }).await?
    }

    /// How all children stand, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ChildStatus> {
        self.children.borrow().values().map(|c| c.status.borrow().clone()).collect()
    }

    /// Follows one child; `None` when there is none of this name.
    #[must_use]
    pub fn follow(&self, name: &str) -> Option<watch::Receiver<ChildStatus>> {
        self.children.borrow().get(name).map(|c| c.status.clone())
    }

    /// Ends a child's life and begins a new one at once; also one that had failed for good.
    /// `false` when there is none of this name.
    ///
    /// Errors: [`SendError`].
    pub fn restart(&self, name: &str) -> Result<bool, SendError> {
        let Some(mailbox) = self.children.borrow().get(name).map(|c| c.mailbox.clone()) else { return Ok(false) };
        mailbox.try_send(Restart).map(|()| true)
    }

    /// Waits for `shutdown`, then stops everything.
    pub async fn run_until(&self, shutdown: CancellationToken, deadline: Duration) -> StopReport {
        shutdown.cancelled().await;
        self.stop(deadline).await
    }

    /// Stops the children stage by stage. Each stage may use its equal share of what is left of
    /// `deadline`; what has not ended then is cut, which is safe and no more than a crash.
    pub async fn stop(&self, deadline: Duration) -> StopReport {
        let until = Instant::now() + deadline;
        // From here on nothing is added. A root that does not answer has nobody to add for.
        let closed = self.root.ask(ROOT_ANSWERS, Close).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "stopping without the root");
        }
        let mut stages: BTreeMap<u8, Vec<(String, Managed)>> = BTreeMap::new();
        for (name, child) in self.children.borrow().iter() {
            stages.entry(child.stage).or_default().push((name.clone(), child.clone()));
        }
        let mut report = StopReport::default();
        let mut left = u32::try_from(stages.len()).unwrap_or(u32::MAX);
        for children in stages.into_values() {
            let share = until.saturating_duration_since(Instant::now()) / left.max(1);
            left = left.saturating_sub(1);
            stop_stage(children, Instant::now() + share, &mut report).await;
        }
        if let Err(error) = self.root.ask(ROOT_ANSWERS, EndThreads).await {
            tracing::warn!(%error, "the pool's threads were not ended");
        }
        report
    }
}

async fn stop_stage(mut children: Vec<(String, Managed)>, until: Instant, report: &mut StopReport) {
    for (_, child) in &children {
        child.stop.cancel();
    }
    for (name, child) in &mut children {
        if down(child, until).await {
            report.clean.push(name.clone());
            continue;
        }
        let sent = child.mailbox.try_send(Cut);
        if sent.is_ok() && down(child, Instant::now() + CUT_TAKES).await {
            report.cut.push(name.clone());
        } else {
            report.stuck.push(name.clone());
        }
    }
}

async fn down(child: &mut Managed, until: Instant) -> bool {
    let stopped = child.status.wait_for(|s| s.state == ChildState::Stopped);
    // An actor that is gone dropped its status: it is down as well.
    tokio::time::timeout_at(until, stopped).await.is_ok()
}

impl Actor for Root {
    type Context = Context<Self>;
}

impl Root {
    fn add(&mut self, child: Child) -> Result<(), AddError> {
        let Child { name, stage, place, factory } = child;
        if self.stopping {
            return Err(AskError::Send(SendError::Closed("the supervisor")).into());
        }
        if self.children.borrow().contains_key(&name) {
            return Err(AddError::Taken(name));
        }
        let thread = self.thread(place).map_err(|source| AddError::Thread { name: name.clone(), source })?;
        let stop = CancellationToken::new();
        let starting =
            ChildStatus { name: name.clone(), state: ChildState::Starting, generation: 0, failures: 0, panics: 0 };
        let (sender, status) = watch::channel(starting);
        let (retry, capacity) = (self.settings.retry.clone(), self.settings.control_mailbox);
        self.seed = self.seed.wrapping_add(1);
        let (seed, token) = (self.seed, stop.clone());
        let address = ChildActor::start_in_arbiter(&thread, move |ctx| {
            ctx.set_mailbox_capacity(capacity);
            ChildActor::new(factory, retry, seed, token, sender)
        });
        let managed = Managed { stage, stop, mailbox: Mailbox::new(address, "a child"), status };
        self.children.send_modify(|children| {
            children.insert(name, managed);
        });
        Ok(())
    }

    /// The thread a new child runs on; pool threads are made when they are first needed.
    fn thread(&mut self, place: Place) -> Result<ArbiterHandle, std::io::Error> {
        if place == Place::Here {
            return Ok(Arbiter::current());
        }
        if self.threads.len() < self.settings.threads && self.threads.iter().all(|(_, children)| *children > 0) {
            self.threads.push((Arbiter::try_new()?, 0));
        }
        match self.threads.iter_mut().min_by_key(|(_, children)| *children) {
            Some((thread, children)) => {
                *children += 1;
                Ok(thread.handle())
            }
            None => Ok(Arbiter::current()),
        }
    }
}

struct Add {
    child: Child,
    answer: oneshot::Sender<Result<(), AddError>>,
}
impl Message for Add {
    type Result = ();
}
impl Handler<Add> for Root {
    type Result = ();
    fn handle(&mut self, Add { child, answer }: Add, _: &mut Context<Self>) {
        let added = self.add(child);
        if answer.send(added).is_err() {
            tracing::warn!("a child was added whose adder did not wait");
        }
    }
}

struct Close(oneshot::Sender<()>);
impl Message for Close {
    type Result = ();
}
impl Handler<Close> for Root {
    type Result = ();
    fn handle(&mut self, Close(answer): Close, _: &mut Context<Self>) {
        self.stopping = true;
        let _unheard = answer.send(());
    }
}

struct EndThreads(oneshot::Sender<()>);
impl Message for EndThreads {
    type Result = ();
}
impl Handler<EndThreads> for Root {
    type Result = ();
    fn handle(&mut self, EndThreads(answer): EndThreads, _: &mut Context<Self>) {
        for (thread, _) in self.threads.drain(..) {
            thread.stop(); // not joined: a stuck one must not hold up the end of the process
        }
        let _unheard = answer.send(());
    }
}
