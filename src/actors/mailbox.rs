//! The only way a message is sent to an actor.
//!
//! `Addr::do_send` ignores the mailbox's bound and drops silently when the actor is gone, and
//! each clone of an `Addr` may hold one more message than the bound. So an address is cloned
//! here only behind an `Arc`, everything goes through `try_send`, and an answer comes back over
//! a oneshot channel inside the message instead of through `Addr::send`, which clones.

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a message was not taken; it was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The mailbox holds as many messages as it may.
    #[error("the mailbox of {0} is full")]
    Full(&'static str),
    /// The actor has ended.
    #[error("{0} has ended")]
    Closed(&'static str),
}

/// Why a question got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The question was not delivered.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The actor ended, or failed, before it answered.
    #[error("{0} ended before it answered")]
    Dropped(&'static str),
    /// No answer within the time; the question may still be handled.
    #[error("{0} did not answer in time")]
    Late(&'static str),
}

/// The address of an actor. All clones share one place in the queue.
pub struct Mailbox<A: Actor> {
    address: Arc<Addr<A>>,
    name: &'static str,
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Mailbox { address: Arc::clone(&self.address), name: self.name }
    }
}

impl<A: Actor> std::fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox({})", self.name)
    }
}

impl<A: Actor> Mailbox<A> {
    /// Wraps a fresh address; its capacity is set by the actor's context, from a named setting.
    #[must_use]
    pub fn new(address: Addr<A>, name: &'static str) -> Self {
        Mailbox { address: Arc::new(address), name }
    }

    /// Puts `message` into the mailbox.
    ///
    /// Errors: [`SendError`]; the message was not delivered.
    pub fn try_send<M>(&self, message: M) -> Result<(), SendError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.address.try_send(message).map_err(|e| match e {
            actix::prelude::SendError::Full(_) => SendError::Full(self.name),
            actix::prelude::SendError::Closed(_) => SendError::Closed(self.name),
        })
    }

    /// Sends what `message` makes of the place for the answer, and waits for it at most `longest`.
    ///
    /// Errors: [`AskError`].
    pub async fn ask<M, T>(
        &self,
        longest: Duration,
        message: impl FnOnce(oneshot::Sender<T>) -> M,
    ) -> Result<T, AskError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let (answer, answered) = oneshot::channel();
        self.try_send(message(answer))?;
        match tokio::time::timeout(longest, answered).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(AskError::Dropped(self.name)),
            Err(_) => Err(AskError::Late(self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::Context;

    struct Slow;
    impl Actor for Slow {
        type Context = Context<Self>;
    }
    struct Note;
    impl Message for Note {
        type Result = ();
    }
    impl Handler<Note> for Slow {
        type Result = ();
        fn handle(&mut self, _: Note, _: &mut Context<Self>) {}
    }
    struct End;
    impl Message for End {
        type Result = ();
    }
    impl Handler<End> for Slow {
        type Result = ();
        fn handle(&mut self, _: End, ctx: &mut Context<Self>) {
            actix::ActorContext::stop(ctx);
        }
    }

    fn slow() -> Mailbox<Slow> {
        let address = Slow::create(|ctx| {
            ctx.set_mailbox_capacity(3);
            Slow
        });
        Mailbox::new(address, "slow")
    }

    #[test]
    fn clones_do_not_stretch_the_bound_and_fullness_is_said() {
        actix::System::new().block_on(async {
            let mailbox = slow();
            let sent = (0..100).filter(|_| mailbox.clone().try_send(Note).is_ok()).count();
            assert_eq!(sent, 3, "the actor has not run yet, so only its capacity fits");
            assert_eq!(mailbox.try_send(Note), Err(SendError::Full("slow")));
        });
    }

    #[test]
    fn an_ended_actor_is_said() {
        actix::System::new().block_on(async {
            let mailbox = slow();
            mailbox.try_send(End).unwrap();
            while mailbox.address.connected() {
                tokio::task::yield_now().await;
            }
            assert_eq!(mailbox.try_send(Note), Err(SendError::Closed("slow")));
        });
    }
}
