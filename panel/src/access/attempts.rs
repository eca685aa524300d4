//! How often somebody may try to log in: counted by name and by address, in maps of bounded size.
//!
//! An attempt is counted before the password is looked at, so a hundred at once are a hundred. A
//! stranger who fails with somebody's name must not lock that person out of where they always log
//! in from: from an address that this name has come in from before, only the address counts.

use moka::sync::Cache;
use penstock::settings::LoginSettings;
use penstock::time::{Clock, Micros};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Names, addresses and pairs that are remembered; beyond that the least used are forgotten.
const REMEMBERED: u64 = 10_000;
/// How long an address stays one that a name has come in from.
const KNOWN: Duration = Duration::from_secs(30 * 86_400);
/// Failed logins that the audit keeps within one window; the log has all.
const NOTED: u32 = 100;

/// Attempts within a window that began with the first of them.
#[derive(Clone, Copy, Debug)]
struct Count {
    since: Micros,
    number: u32,
}

type Counts<K> = Cache<K, Arc<Mutex<Count>>>;

/// The counts.
pub struct Attempts {
    clock: Arc<dyn Clock>,
    most: u32,
    window: Duration,
    names: Counts<String>,
    addresses: Counts<IpAddr>,
    known: Cache<(String, IpAddr), ()>,
    noted: Mutex<Count>,
}

impl Attempts {
    pub fn new(settings: &LoginSettings, clock: Arc<dyn Clock>) -> Attempts {
        Attempts {
            clock,
            most: settings.attempts,
            window: settings.attempts_window,
            names: Cache::new(REMEMBERED),
            addresses: Cache::new(REMEMBERED),
            known: Cache::builder().max_capacity(REMEMBERED).time_to_live(KNOWN).build(),
            noted: Mutex::new(Count { since: Micros::MIN, number: 0 }),
        }
    }

    /// Counts an attempt. Errors: there were too many; how long to wait.
    pub fn begin(&self, name: &str, address: IpAddr) -> Result<(), Duration> {
        let (name, address) = (key(name), network(address));
        self.count(&self.addresses, address)?;
        if self.known.contains_key(&(name.clone(), address)) {
            return Ok(());
        }
        self.count(&self.names, name)
    }

    /// The attempt was good: it is not held against the address, and the name begins anew.
    pub fn succeeded(&self, name: &str, address: IpAddr) {
        let (name, address) = (key(name), network(address));
        self.names.invalidate(&name);
        if let Some(count) = self.addresses.get(&address) {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            count.number = count.number.saturating_sub(1);
        }
        self.known.insert((name, address), ());
    }

    /// Whether another failed login still goes into the audit.
    pub fn noted(&self) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut noted, self.clock.now(), self.window, NOTED).is_ok()
    }

    fn count<K: Hash + Eq + Send + Sync + 'static>(&self, counts: &Counts<K>, key: K) -> Result<(), Duration> {
        let now = self.clock.now();
        let count = counts.get_with(key, || Arc::new(Mutex::new(Count { since: now, number: 0 })));
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut count, now, self.window, self.most)
    }
}

fn add(count: &mut Count, now: Micros, window: Duration, most: u32) -> Result<(), Duration> {
    let passed = now.since(count.since);
    if passed >= window {
        *count = Count { since: now, number: 0 };
    } else if count.number >= most {
        return Err(window - passed);
    }
    count.number += 1;
    Ok(())
}

/// As long as a name may be; longer ones are nobody's and share what they begin with.
fn key(name: &str) -> String {
    name.chars().take(64).collect()
}

/// One household or host gets a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock::time::ManualClock;

    const WINDOW: Duration = Duration::from_secs(900);

    fn attempts() -> (Attempts, ManualClock) {
        let clock = ManualClock::at(Micros::from_secs(1_000));
        let settings = LoginSettings { attempts: 3, attempts_window: WINDOW, ..LoginSettings::default() };
        (Attempts::new(&settings, Arc::new(clock.clone())), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn too_many_attempts_with_a_name_or_from_an_address_wait_for_the_window_s_end() {
        let (attempts, clock) = attempts();
        for n in 0..3 {
            attempts.begin("anna", ip(&format!("10.0.0.{n}"))).unwrap();
        }
        clock.advance(Duration::from_secs(100));
        assert_eq!(attempts.begin("anna", ip("10.0.0.9")), Err(WINDOW - Duration::from_secs(100)));
        for name in ["a", "b", "c"] {
            attempts.begin(name, ip("2001:db8::1")).unwrap();
        }
        assert!(attempts.begin("d", ip("2001:db8::ffff")).is_err(), "the same /64");
        assert!(attempts.begin("d", ip("2001:db8:0:1::1")).is_ok());
        clock.advance(WINDOW);
        assert!(attempts.begin("anna", ip("10.0.0.9")).is_ok());
    }

    #[test]
    fn nobody_is_locked_out_of_where_they_always_log_in_from() {
        let (attempts, _) = attempts();
        attempts.begin("anna", ip("10.0.0.1")).unwrap();
        attempts.succeeded("anna", ip("10.0.0.1"));
        for n in 0..3 {
            attempts.begin("anna", ip(&format!("10.1.0.{n}"))).unwrap();
        }
        assert!(attempts.begin("anna", ip("10.1.0.9")).is_err());
        for _ in 0..3 {
            attempts.begin("anna", ip("10.0.0.1")).unwrap();
        }
        assert!(attempts.begin("anna", ip("10.0.0.1")).is_err(), "the address counts there too");
    }

    #[test]
    fn a_good_login_does_not_give_an_address_its_bad_ones_back() {
        let (attempts, _) = attempts();
        let here = ip("10.0.0.1");
        for _ in 0..3 {
            attempts.begin("victim", here).unwrap();
            if attempts.begin("mallory", here).is_ok() {
                attempts.succeeded("mallory", here);
            }
        }
        assert!(attempts.begin("other", here).is_err());
    }
}
