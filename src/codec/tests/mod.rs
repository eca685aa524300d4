//! The codec held against apache-avro and arrow-avro, and against garbage.

mod columns;
mod encoding;
pub(crate) mod events;
mod garbage;
mod schemas;
