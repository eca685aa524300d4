//! Who visits: countries with their address ranges, and browsers with their devices.

/// A country, how often it turns up among 100 visitors, and its made-up address range.
#[derive(Debug)]
pub struct Country {
    /// ISO 3166-1 alpha-2.
    pub code: &'static str,
    /// Of 100 visitors.
    pub share: u32,
    /// Second byte of the visitors' private addresses, 10.x.0.0/16: nobody real is ever named.
    pub net: u8,
}

/// All countries; the shares add up to 100.
pub const COUNTRIES: [Country; 12] = [
    Country { code: "US", share: 27, net: 1 },
    Country { code: "IN", share: 14, net: 2 },
    Country { code: "BR", share: 9, net: 3 },
    Country { code: "DE", share: 8, net: 4 },
    Country { code: "GB", share: 8, net: 5 },
    Country { code: "JP", share: 7, net: 6 },
    Country { code: "FR", share: 6, net: 7 },
    Country { code: "MX", share: 6, net: 8 },
    Country { code: "ES", share: 5, net: 9 },
    Country { code: "PL", share: 4, net: 10 },
    Country { code: "AU", share: 3, net: 11 },
    Country { code: "ZA", share: 3, net: 12 },
];

/// A browser as its requests name it.
#[derive(Debug)]
pub struct Browser {
    /// Of 100 visitors.
    pub share: u32,
    /// `User-Agent` header.
    pub user_agent: &'static str,
    /// Kind of device.
    pub device: &'static str,
    /// Operating system.
    pub os: &'static str,
}

/// All browsers; the shares add up to 100.
pub const BROWSERS: [Browser; 7] = [
    Browser {
        share: 34,
        user_agent: "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
        device: "mobile",
        os: "android",
    },
    Browser {
        share: 22,
        user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        device: "mobile",
        os: "ios",
    },
    Browser {
        share: 21,
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        device: "desktop",
        os: "windows",
    },
    Browser {
        share: 9,
        user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
        device: "desktop",
        os: "macos",
    },
    Browser {
        share: 6,
        user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
        device: "desktop",
        os: "windows",
    },
    Browser {
        share: 5,
        user_agent: "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        device: "tablet",
        os: "ios",
    },
    Browser {
        share: 3,
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
        device: "desktop",
        os: "linux",
    },
];

/// The entry that `draw`, a number from 0 to 99, falls on.
pub fn by_share<T>(of: &[T], draw: u32, share: impl Fn(&T) -> u32) -> &T {
    let mut left = draw;
    for entry in of {
        if left < share(entry) {
            return entry;
        }
        left -= share(entry);
    }
    &of[of.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_a_hundred() {
        assert_eq!(COUNTRIES.iter().map(|c| c.share).sum::<u32>(), 100);
        assert_eq!(BROWSERS.iter().map(|b| b.share).sum::<u32>(), 100);
        assert_eq!(by_share(&COUNTRIES, 0, |c| c.share).code, "US");
        assert_eq!(by_share(&COUNTRIES, 99, |c| c.share).code, "ZA");
    }
}
