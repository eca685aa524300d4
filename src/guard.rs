//! Which requests may come in: a guard against DNS rebinding and against pages of other sites.
//!
//! A server on loopback without a login is still in reach of every page that a browser on the
//! same machine has open. Two headers that a page cannot forge close that door: `Host` (a name
//! that was rebound to 127.0.0.1 is not one of ours) and `Origin` / `Sec-Fetch-Site` (a write
//! that a page of another site sent). Plain strings in, an answer out; no framework here.

use std::net::{IpAddr, SocketAddr};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `Host` is missing or names somebody else.
    #[error("the Host header does not name this server; configure further names as allowed_hosts")]
    Host,
    /// A browser sent this from a page of another origin.
    #[error("the request comes from a page of another origin")]
    Origin,
}

/// The names and origins that are ours. Cheap to ask: no allocation.
#[derive(Clone, Debug)]
pub struct Guard {
    listen: IpAddr,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Guard {
    /// `hosts` are names without a port (IPv6 in brackets) accepted besides loopback names and the
    /// listen address; `origins` are `scheme://host[:port]` as browsers write them.
    #[must_use]
    pub fn new(listen: SocketAddr, hosts: &[String], origins: &[String]) -> Guard {
        Guard { listen: listen.ip(), hosts: hosts.to_vec(), origins: origins.to_vec() }
    }

    /// Checks a request that changes nothing.
    ///
    /// Errors: [`Refused::Host`].
    pub fn read(&self, host: Option<&str>) -> Result<(), Refused> {
        if host.and_then(name_of).is_some_and(|name| self.ours(name)) { Ok(()) } else { Err(Refused::Host) }
    }

    /// Checks a request that changes something. Programs send neither `Origin` nor
    /// `Sec-Fetch-Site` and pass.
    ///
    /// Errors: [`Refused`].
    pub fn write(&self, host: Option<&str>, origin: Option<&str>, fetch_site: Option<&str>) -> Result<(), Refused> {
        self.read(host)?;
        let allowed = match (origin, fetch_site) {
            (Some(origin), _) if self.origins.iter().any(|o| o.eq_ignore_ascii_case(origin)) => true,
            // Same origin: what follows the scheme is what the request was addressed to.
            (Some(origin), None | Some("same-origin" | "none")) => {
                let address = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
                address.zip(host).is_some_and(|(a, h)| a.eq_ignore_ascii_case(h))
            }
            (None, None | Some("same-origin" | "none")) => true,
            _ => false,
        };
        if allowed { Ok(()) } else { Err(Refused::Origin) }
    }

    fn ours(&self, name: &str) -> bool {
        if self.hosts.iter().any(|h| h.eq_ignore_ascii_case(name)) || name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        match bare.parse::<IpAddr>() {
            // Rebinding needs a name: when we listen everywhere, any literal address is one of ours.
            Ok(ip) => ip.is_loopback() || ip == self.listen || self.listen.is_unspecified(),
            Err(_) => false,
        }
    }
}

/// The host without its port; `None` when it is no `host[:port]`.
fn name_of(host: &str) -> Option<&str> {
    let (name, port) = if host.starts_with('[') {
        let end = host.find(']')? + 1;
        host.split_at(end)
    } else {
        host.split_at(host.find(':').unwrap_or(host.len()))
    };
    let port_is_fine = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    (port_is_fine && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let listen = "127.0.0.1:7080".parse().unwrap();
        Guard::new(listen, &["panel.example".to_owned()], &["https://ads.example".to_owned()])
    }

    #[test]
    fn only_our_own_names_pass() {
        for host in ["localhost", "LOCALHOST:7080", "127.0.0.1:7080", "127.0.0.1", "[::1]:7080", "panel.example:443"] {
            assert_eq!(guard().read(Some(host)), Ok(()), "{host}");
        }
        let strangers = [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            ":7080",
            "10.0.0.1",
            "[::1",
            "[::1]x",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "localhost:1:2",
            "a@localhost",
            "2130706433",
        ];
        for host in strangers {
            assert_eq!(guard().read(Some(host)), Err(Refused::Host), "{host}");
        }
        assert_eq!(guard().read(None), Err(Refused::Host));
    }

    #[test]
    fn any_address_is_ours_when_we_listen_everywhere_but_no_name_is() {
        let guard = Guard::new("0.0.0.0:7080".parse().unwrap(), &[], &[]);
        assert_eq!(guard.read(Some("10.1.2.3:7080")), Ok(()));
        assert_eq!(guard.read(Some("evil.example")), Err(Refused::Host));
    }

    #[test]
    fn a_page_of_another_origin_cannot_write() {
        let host = Some("localhost:7080");
        let good = [
            (None, None),
            (Some("http://localhost:7080"), None),
            (Some("http://localhost:7080"), Some("same-origin")),
            (Some("https://ads.example"), Some("cross-site")),
            (None, Some("none")),
        ];
        for (origin, site) in good {
            assert_eq!(guard().write(host, origin, site), Ok(()), "{origin:?} {site:?}");
        }
        let bad = [
            (Some("null"), None),
            (Some(""), None),
            (Some("http://evil.example"), None),
            (Some("http://localhost:8080"), None),
            (Some("localhost:7080"), None),
            (Some("http://localhost:7080"), Some("cross-site")),
            (None, Some("cross-site")),
            (None, Some("same-site")),
            (None, Some("nonsense")),
        ];
        for (origin, site) in bad {
            assert_eq!(guard().write(host, origin, site), Err(Refused::Origin), "{origin:?} {site:?}");
        }
    }
}
