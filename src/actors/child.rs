//! One supervised child: an actor that runs one generation after another of a future.
//!
//! A generation is built by a factory from nothing, and is never repaired: when it fails or
//! panics, all of it is dropped and the factory builds the next one after a wait. A panic is
//! caught by the task the generation runs in, and counts as a failure.

use crate::pipeline::Backoff;
use crate::settings::RetrySettings;
use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _,
};
use futures::future::{FutureExt as _, LocalBoxFuture};
use std::future::Future;
use std::rc::Rc;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One life of a child.
#[derive(Clone, Debug)]
pub struct Incarnation {
    /// 1 for the first.
    pub generation: u64,
    /// Cancelled when this life shall end; it has until the stop's deadline to do so.
    pub stop: CancellationToken,
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As asked, or because it has nothing left to do: not built again.
    Stopped,
    /// It failed; the next generation is built after a wait.
    Failed(String),
    /// It failed and would again: stays down, and shows why, until an operator restarts it.
    Final(String),
}

/// Where a child runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the pool thread with the fewest children (`pipeline.threads` of them).
    Pool,
    /// On the supervisor's own thread.
    Here,
}

type Factory = Box<dyn Fn(Incarnation) -> LocalBoxFuture<'static, Ended> + Send>;

/// What a supervisor runs under a name.
pub struct Child {
    pub(super) name: String,
    pub(super) stage: u8,
    pub(super) place: Place,
    pub(super) factory: Factory,
}

impl Child {
    /// A child on a pool thread. `factory` is called there once a generation; the future it gives
    /// is that life, and need not be `Send`.
    pub fn new<F, Fut>(name: impl Into<String>, factory: F) -> Self
    where
        F: Fn(Incarnation) -> Fut + Send + 'static,
        Fut: Future<Output = Ended> + 'static,
    {
        let factory: Factory = Box::new(move |incarnation| factory(incarnation).boxed_local());
        Child { name: name.into(), stage: 0, place: Place::Pool, factory }
    }

    /// Stages stop one after another, ascending: intake before the pipelines, these before what
    /// they write to. Default 0.
    #[must_use]
    pub fn stage(mut self, stage: u8) -> Self {
        self.stage = stage;
        self
    }

    /// Runs it elsewhere than on a pool thread.
    #[must_use]
    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

/// What a child is doing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ChildState {
    /// Its actor has been made.
    Starting,
    /// A generation runs.
    Running,
    /// A generation failed; the next one comes after the wait.
    Waiting {
        /// Why it failed.
        reason: String,
        /// The wait in milliseconds.
        wait_ms: u64,
    },
    /// Down until an operator restarts it.
    Failed {
        /// Why.
        reason: String,
    },
    /// Ended as asked, or with nothing left to do.
    Stopped,
}

/// How a child stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChildStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    #[serde(flatten)]
    pub state: ChildState,
    /// Number of the newest life.
    pub generation: u64,
    /// How many lives failed.
    pub failures: u64,
    /// Of them, how many by a panic.
    pub panics: u64,
}

impl ChildStatus {
    /// Whether the child runs.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.state == ChildState::Running
    }
}

pub(super) struct ChildActor {
    factory: Rc<Factory>,
    backoff: Backoff,
    /// A life that lasted so long was sound: the next failure begins with the first wait again.
    sound_after: std::time::Duration,
    stop: CancellationToken,
    status: watch::Sender<ChildStatus>,
    running: Option<Running>,
    /// An operator wants a new life as soon as this one has ended.
    again: bool,
}

struct Running {
    since: Instant,
    stop: CancellationToken,
    task: AbortHandle,
}

impl ChildActor {
    pub(super) fn new(
        factory: Factory,
        retry: RetrySettings,
        seed: u64,
        stop: CancellationToken,
        status: watch::Sender<ChildStatus>,
    ) -> Self {
        let sound_after = retry.longest;
        let backoff = Backoff::new(retry, seed);
        ChildActor { factory: Rc::new(factory), backoff, sound_after, stop, status, running: None, again: false }
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        if self.stop.is_cancelled() || self.running.is_some() {
            return;
        }
        self.again = false;
        let stop = self.stop.child_token();
        let mut generation = 0;
        self.status.send_modify(|s| {
            s.generation += 1;
            s.state = ChildState::Running;
            generation = s.generation;
        });
        let incarnation = Incarnation { generation, stop: stop.clone() };
        let factory = Rc::clone(&self.factory);
        // The factory runs inside the task too: its panic is caught like that of what it builds.
        let life = actix::spawn(async move { factory(incarnation).await });
        self.running = Some(Running { since: Instant::now(), stop, task: life.abort_handle() });
        ctx.spawn(life.into_actor(self).map(|ended, child, ctx| child.ended(ended, ctx)));
    }

    fn ended(&mut self, ended: Result<Ended, JoinError>, ctx: &mut Context<Self>) {
        let lasted = self.running.take().map(|r| r.since.elapsed()).unwrap_or_default();
        let (ended, panicked) = match ended {
            Ok(ended) => (ended, false),
            Err(error) if error.is_panic() => (Ended::Failed(panic_message(error)), true),
            Err(_) => (Ended::Failed("cut short at the deadline".to_owned()), false),
        };
        self.status.send_modify(|s| {
            s.failures += u64::from(ended != Ended::Stopped);
            s.panics += u64::from(panicked);
        });
        if self.stop.is_cancelled() {
            return self.down(ChildState::Stopped, ctx);
        }
        if self.again {
            return self.begin(ctx);
        }
        match ended {
            Ended::Stopped => self.status.send_modify(|s| s.state = ChildState::Stopped),
            Ended::Final(reason) => self.status.send_modify(|s| s.state = ChildState::Failed { reason }),
            Ended::Failed(reason) => {
                if lasted >= self.sound_after {
                    self.backoff.reset();
                }
                let wait = self.backoff.next_wait();
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                tracing::error!(child = self.status.borrow().name, reason, wait_ms, "failed; will be built anew");
                self.status.send_modify(|s| s.state = ChildState::Waiting { reason, wait_ms });
                ctx.run_later(wait, ChildActor::begin);
            }
        }
    }

    fn down(&mut self, state: ChildState, ctx: &mut Context<Self>) {
        self.status.send_modify(|s| s.state = state);
        ctx.stop();
    }
}

impl Actor for ChildActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let stopped = self.stop.clone().cancelled_owned();
        ctx.spawn(stopped.into_actor(self).map(|(), child, ctx| {
            if child.running.is_none() {
                child.down(ChildState::Stopped, ctx);
            }
        }));
        self.begin(ctx);
    }
}

/// Drops the life that still runs: for it, as if the process had been killed.
pub(super) struct Cut;
impl Message for Cut {
    type Result = ();
}
impl Handler<Cut> for ChildActor {
    type Result = ();
    fn handle(&mut self, _: Cut, _: &mut Context<Self>) {
        if let Some(running) = &self.running {
            running.task.abort();
        }
    }
}

/// Ends the life that runs, if one does, and begins a new one without a wait.
pub(super) struct Restart;
impl Message for Restart {
    type Result = ();
}
impl Handler<Restart> for ChildActor {
    type Result = ();
    fn handle(&mut self, _: Restart, ctx: &mut Context<Self>) {
        self.backoff.reset();
        match &self.running {
            Some(running) => {
                self.again = true;
                running.stop.cancel();
            }
            None => self.begin(ctx),
        }
    }
}

fn panic_message(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "it panicked".to_owned() };
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    format!("it panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}
