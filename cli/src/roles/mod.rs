//! The single roles of a cluster, each a process of its own.
