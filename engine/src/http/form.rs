//! `multipart/form-data` bodies: how clients send a query together with its bound parameters.

use crate::exception::{Code, Exception};

/// Most fields of one form.
const FIELDS: usize = 1024;

/// The boundary in a `Content-Type` header, when it is a form.
#[must_use]
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = rest.split(';').find_map(|p| p.trim().strip_prefix("boundary="))?.trim_matches('"');
    (!value.is_empty() && value.len() <= 70).then(|| value.to_owned())
}

/// Fields of a form in their order (RFC 7578).
///
/// Errors: NOT_IMPLEMENTED for files (external tables), BAD_ARGUMENTS for anything malformed or cut.
pub fn parse(body: &[u8], boundary: &str) -> Result<Vec<(String, Vec<u8>)>, Exception> {
    let bad = |what: &str| Exception::new(Code::BadArguments, format_args!("the form is malformed: {what}"));
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let start = memchr::memmem::find(body, first.as_bytes()).ok_or_else(|| bad("no boundary"))?;
    let mut rest = body.get(start + first.len()..).unwrap_or_default();
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        if fields.len() == FIELDS {
            return Err(bad("too many fields"));
        }
        rest = rest.strip_prefix(b"\r\n").ok_or_else(|| bad("a boundary's line does not end"))?;
        let head_end = memchr::memmem::find(rest, b"\r\n\r\n").ok_or_else(|| bad("a field's headers do not end"))?;
        let (head, after) = rest.split_at(head_end);
        let after = after.get(4..).unwrap_or_default();
        let value_end = memchr::memmem::find(after, between.as_bytes()).ok_or_else(|| bad("it ends early"))?;
        let head = String::from_utf8_lossy(head);
        let name = field_name(&head)?.ok_or_else(|| bad("a field has no name"))?;
        fields.push((name, after.get(..value_end).unwrap_or_default().to_vec()));
        rest = after.get(value_end + between.len()..).unwrap_or_default();
    }
}

fn field_name(head: &str) -> Result<Option<String>, Exception> {
    for line in head.split("\r\n") {
        let Some((header, value)) = line.split_once(':') else { continue };
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        if value.split(';').any(|p| p.trim().starts_with("filename")) {
            return Err(Exception::new(Code::NotImplemented, "external tables (files in a form) are not served"));
        }
        let name = value.split(';').find_map(|p| p.trim().strip_prefix("name="));
        return Ok(name.map(|n| n.trim_matches('"').to_owned()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:UInt8}\r\n--b\r\n\
        Content-Disposition: form-data; name=\"param_a\"\r\n\r\n1\r\n--b--\r\n";

    #[test]
    fn fields_come_in_order_with_their_values() {
        let fields = parse(FORM.as_bytes(), "b").map_err(|e| e.text);
        let expected = vec![("query".to_owned(), b"SELECT {a:UInt8}".to_vec()), ("param_a".to_owned(), b"1".to_vec())];
        assert_eq!(fields, Ok(expected));
        assert_eq!(boundary("multipart/form-data; boundary=b").as_deref(), Some("b"));
    }

    #[test]
    fn a_cut_form_is_an_error_at_every_byte() {
        for cut in 0..FORM.len() - 4 {
            assert!(parse(&FORM.as_bytes()[..cut], "b").is_err(), "cut at {cut}");
        }
    }
}
