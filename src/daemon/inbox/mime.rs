//! From the text of a mail to what people read: header fields and body, decoded.
//!
//! As much of RFC 2045 and 2047 as mails of one text part need.

use super::Headers;

/// Header fields and body.
pub(super) fn parse(text: &str) -> (Headers, String) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    // A line that begins with a space goes on with the field before it.
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let mut headers = Headers::new();
    for (name, value) in unfolded.lines().filter_map(|line| line.split_once(':')) {
        add(&mut headers, name, &words(value.trim()));
    }
    let body = match headers.get("content-transfer-encoding").map(|name| name.to_ascii_lowercase()).as_deref() {
        Some("quoted-printable") => quoted_printable(body),
        Some("base64") => base64(body),
        _ => body.as_bytes().to_vec(),
    };
    (headers, String::from_utf8_lossy(&body).replace("\r\n", "\n"))
}

/// Adds a field, to what is there under its name already.
pub(super) fn add(headers: &mut Headers, name: &str, value: &str) {
    headers
        .entry(name.to_ascii_lowercase())
        .and_modify(|old| {
            old.push_str(", ");
            old.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

/// Decodes every `=?utf-8?b?…?=` and `=?utf-8?q?…?=`; the space between two of them is not part of the text.
fn words(text: &str) -> String {
    let (mut bytes, mut rest, mut after_word) = (Vec::new(), text, false);
    while let Some((before, from)) = rest.split_once("=?") {
        let mut parts = from.splitn(4, '?');
        let (_charset, form, coded, end) = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(form), Some(coded), Some(tail)) = (form, coded, end.and_then(|end| end.strip_prefix('='))) else {
            break;
        };
        if !(after_word && before.trim().is_empty()) {
            bytes.extend_from_slice(before.as_bytes());
        }
        if form.eq_ignore_ascii_case("b") {
            bytes.extend(base64(coded));
        } else {
            bytes.extend(quoted_printable(&coded.replace('_', " ")));
        }
        (rest, after_word) = (tail, true);
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('=') {
        bytes.extend_from_slice(before.as_bytes());
        if let Some(next_line) = after.strip_prefix('\n') {
            rest = next_line;
        } else if let Some(byte) = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(b'=');
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // Line ends and padding.
            _ => continue,
        };
        (bits, held) = (bits << 6 | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_shown_as_people_read_it() {
        let text = "Subject: [sexton] =?utf-8?b?QmFja3Vw?= =?utf-8?Q?_l=C3=A4uft?= and\n goes on\nTo: a\nTo: b\n\
                    Content-Transfer-Encoding: quoted-printable\n\na =3D b, l=\n=C3=A4nger\n";
        let (headers, body) = parse(text);
        assert_eq!(headers["subject"], "[sexton] Backup läuft and goes on");
        assert_eq!(headers["to"], "a, b");
        assert_eq!(body, "a = b, länger\n");
    }

    #[test]
    fn a_body_in_base64_is_decoded() {
        let (_, body) = parse("Content-Transfer-Encoding: base64\n\nZXMgbMOk\ndWZ0\n");
        assert_eq!(body, "es läuft");
    }
}
