//! Headers that every answer carries, errors too: what a browser must not do with it.
//!
//! The pages take scripts, styles and pictures from this server only and none from within the
//! HTML, so text from events that ends up in a page cannot become code. A `style` that a script
//! sets through the CSSOM is no inline style; one written into HTML is.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                   connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
                           magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::REFERRER_POLICY, "same-origin"),
    (header::PERMISSIONS_POLICY, PERMISSIONS),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
];

/// A year; only for a panel that is reached over https.
const HSTS: &str = "max-age=31536000";

/// Sets them. What stands there already is replaced: no handler may loosen one.
pub fn set(headers: &mut HeaderMap, https: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
}
