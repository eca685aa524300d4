//! Everything that plays the outside world: the data initializer, the publisher simulator and
//! the loader of event files.
//!
//! Each part is a library that takes options and gives a typed report; the command line draws
//! the progress and prints the result. All of them talk HTTP as a stranger would, through one
//! [`post::Poster`]: each batch carries an `Idempotency-Key`, and a request that was not
//! answered is repeated under the same key, so that nothing is counted twice.

pub mod ingest;
pub mod post;
pub mod seed;
pub mod simulate;
