//! Who goes first when processors are short: intake and balances do, and what looks at them steps back.

use rustix::io;
use rustix::process::{Pid, getpriority_process, setpriority_process};

/// The calling thread steps back, and with it every thread that it makes from now on. One that was
/// started with less keeps less.
///
/// Errors: the operating system does not let it.
pub fn step_back(nice: u8) -> io::Result<()> {
    // Linux keeps the niceness of each thread; no id means the calling one.
    let nice = getpriority_process(None)?.max(i32::from(nice));
    setpriority_process(None, nice)
}

/// All threads of the process step back, and with them those that they make.
///
/// Errors: the operating system does not tell or does not let it.
pub fn step_back_all(nice: u8) -> std::io::Result<()> {
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

    /// The niceness of the calling thread as the kernel shows it.
    fn shown() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Behind the name in brackets, which may hold spaces; see proc(5).
        stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().parse().unwrap()
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
