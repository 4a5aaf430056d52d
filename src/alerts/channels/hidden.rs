//! Takes secrets out of what receivers say: some repeat the login or the path that they were asked with.

use url::Url;

use crate::secret::Secret;

/// What must not be seen in a reason.
#[derive(Clone, Default)]
pub(super) struct Hidden(Vec<String>);

/// Not its contents.
impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

impl Hidden {
    /// A URL with its path, query and password, any of which may be what makes it secret.
    pub(super) fn url(mut self, text: &str) -> Self {
        self.0.push(text.to_owned());
        if let Ok(url) = Url::parse(text) {
            self.0.extend(url.query().map(str::to_owned));
            self.0.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
            self.0.push(url.path().to_owned());
            if let Some(password) = url.password() {
                self = self.login(url.username(), password);
            }
        }
        self
    }

    /// A password, also in the forms in which SMTP sends it.
    pub(super) fn login(mut self, name: &str, password: &str) -> Self {
        self.0.push(password.to_owned());
        self.0.push(base64(password.as_bytes()));
        self.0.push(base64(format!("\0{name}\0{password}").as_bytes()));
        self
    }

    /// A token.
    pub(super) fn token(mut self, token: Option<&Secret>) -> Self {
        self.0.extend(token.map(|token| token.reveal().to_owned()));
        self
    }

    /// `text` without them, the longest first: one may be a part of another.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut secrets: Vec<&str> = self.0.iter().map(String::as_str).filter(|secret| secret.len() > 2).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[hidden]"))
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit > chunk.len() { '=' } else { char::from(DIGITS[value]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_keeps_no_secret_in_any_form() {
        let hidden = Hidden::default()
            .url("https://hooks.example/services/T0/B0?key=k3y")
            .login("me", "pass")
            .token(Some(&Secret::new("t0ken")));
        let said = "Cannot POST /services/T0/B0 with k3y, t0ken, pass, cGFzcw== or AG1lAHBhc3M=";
        assert_eq!(hidden.hide(said), "Cannot POST [hidden] with [hidden], [hidden], [hidden], [hidden] or [hidden]");
    }
}
