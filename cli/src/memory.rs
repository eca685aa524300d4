//! What glibc's allocator does with memory that is free.
//!
//! By default it gives the top of an arena back to the system whenever 128 KiB of it are free, and
//! takes it again, page fault by page fault, for the next range: a sidecar that is sent large bodies
//! spent an eighth of its time so. Librdkafka allocates each message through it too, so an allocator
//! for Rust alone does not help. Kept are at most [`KEPT`] an arena.

/// Free memory at the top of an arena from which on it is given back, in bytes: what is under way to
/// Kafka at once (`forward.buffer_bytes`) comes and goes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: std::ffi::c_int = 64 << 20;

/// From this size on, in bytes, memory is mapped for itself and given back when it is free: the
/// largest that glibc takes. Setting [`KEPT`] ends its own adjusting of this bound.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED: std::ffi::c_int = 32 << 20;

/// Sets both, unless `GLIBC_TUNABLES` or `MALLOC_…` say otherwise. For the start of the program.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a setting of the C library, which nobody wraps")]
pub fn keep_free_memory() {
    let chosen = |(name, _): (std::ffi::OsString, _)| {
        name.to_str().is_some_and(|name| name == "GLIBC_TUNABLES" || name.starts_with("MALLOC_"))
    };
    if std::env::vars_os().any(chosen) {
        return;
    }
    // SAFETY: mallopt takes two numbers and changes the allocator's parameters under its lock; that
    // no other thread runs yet is not even needed. It answers 0 for what it does not take, and then
    // the default holds, which is slower and no error.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
    }
}

/// Other C libraries have no such setting.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn keep_free_memory() {}
