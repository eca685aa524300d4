//! Who goes first when processors are short: intake and balances do, and what looks at them steps back.

use rustix::process::{Pid, getpriority_process, setpriority_process};
use std::io;
use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

/// Beyond the niceness of 19: a turn only when nobody else wants the processor (Linux's `SCHED_IDLE`).
/// Somebody who waits gets the processor at once then, and not when a slice is used up.
pub const IDLE: u8 = 20;

/// The calling thread steps back, and with it every thread that it makes from now on. One that was
/// started with less keeps less. `nice`: 0 to 19, or [`IDLE`].
///
/// Errors: the operating system does not let it.
pub fn step_back(nice: u8) -> io::Result<()> {
    if nice >= IDLE {
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let thread = thread_priority::thread_native_id();
        return thread_priority::set_thread_priority_and_policy(thread, ThreadPriority::Min, policy)
            .map_err(|e| io::Error::other(format!("{e:?}")));
    }
    // Linux keeps the niceness of each thread; no id means the calling one.
    let nice = getpriority_process(None)?.max(i32::from(nice));
    Ok(setpriority_process(None, nice)?)
}

/// All threads of the process step back, and with them those that they make. At [`IDLE`] it is the
/// calling thread and those that it makes: call it before there are others.
///
/// Errors: the operating system does not tell or does not let it.
pub fn step_back_all(nice: u8) -> io::Result<()> {
    if nice >= IDLE {
        return step_back(nice);
    }
    let nice = getpriority_process(None)?.max(i32::from(nice));
    for thread in std::fs::read_dir("/proc/self/task")? {
        let id = thread?.file_name().to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        setpriority_process(id, nice)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of the calling thread as the kernel shows it: 19 is the niceness, 41 the policy. See proc(5).
    fn field(number: usize) -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Behind the name in brackets, which may hold spaces, comes the third.
        stat.rsplit(')').next().unwrap().split_whitespace().nth(number - 3).unwrap().parse().unwrap()
    }

    fn shown() -> i32 {
        field(19)
    }

    #[test]
    fn a_thread_that_runs_when_nobody_else_does_makes_threads_that_do_so_too() {
        const SCHED_IDLE: i32 = 5;
        let made = std::thread::spawn(|| {
            step_back(IDLE).unwrap();
            (field(41), std::thread::spawn(|| field(41)).join().unwrap())
        });
        assert_eq!(made.join().unwrap(), (SCHED_IDLE, SCHED_IDLE));
        assert_eq!(field(41), 0);
    }

    #[test]
    fn a_thread_and_those_it_makes_step_back_and_no_other() {
        let before = shown();
        let more = u8::try_from(before + 3).unwrap();
        let made = std::thread::spawn(move || {
            step_back(more).unwrap();
            step_back(0).unwrap(); // never forward again
            (shown(), std::thread::spawn(shown).join().unwrap())
        });
        assert_eq!(made.join().unwrap(), (before + 3, before + 3));
        assert_eq!(shown(), before);
    }
}
