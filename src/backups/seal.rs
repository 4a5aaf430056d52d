//! Encryption with age: who may read a backup, and with what.
//!
//! A daemon knows recipients alone, which are public. Identities come from files that a person or a proof names, and
//! one that is made for each backup lives in memory until its proof has ended.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use age::secrecy::ExposeSecret;

use crate::{outcome::Failure, secret::Secret};

/// Somebody who may read: an age or ssh public key.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    key: Arc<dyn age::Recipient + Send + Sync>,
}

/// A text that is no recipient.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{shown}` is not a recipient: {why}")]
pub struct NoRecipient {
    shown: String,
    why: &'static str,
}

impl Recipient {
    /// As age writes it; without the comment of an ssh key.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Recipient {
    type Err = NoRecipient;

    fn from_str(text: &str) -> Result<Self, NoRecipient> {
        let text = text.trim();
        if text.to_uppercase().starts_with("AGE-SECRET-KEY") || text.contains("PRIVATE KEY") {
            // It is not shown: it is the very thing that must not be here.
            let shown = "(a secret key)".to_owned();
            return Err(NoRecipient {
                shown,
                why: "write its public key (age-keygen -y FILE), and keep this one apart",
            });
        }
        if let Ok(key) = text.parse::<age::x25519::Recipient>() {
            return Ok(Self { text: key.to_string(), key: Arc::new(key) });
        }
        if let Ok(key) = text.parse::<age::ssh::Recipient>() {
            return Ok(Self { text: key.to_string(), key: Arc::new(key) });
        }
        let why = "write an age public key (age1…, from age-keygen) or an ssh-ed25519 or ssh-rsa one";
        Err(NoRecipient { shown: text.chars().take(80).collect(), why })
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What opens backups.
#[derive(Clone, Default)]
pub struct Identities(Vec<Identity>);

/// One key that opens.
#[derive(Clone)]
struct Identity {
    /// Its public side, as [`Recipient::as_str`] has it.
    recipient: String,
    key: Arc<dyn age::Identity + Send + Sync>,
}

impl Identities {
    /// A new key pair that is kept in memory alone.
    pub fn ephemeral() -> (Self, Recipient) {
        let key = age::x25519::Identity::generate();
        let public = key.to_public();
        let recipient = Recipient { text: public.to_string(), key: Arc::new(public) };
        (Self(vec![Identity { recipient: recipient.text.clone(), key: Arc::new(key) }]), recipient)
    }

    /// Reads files: of age (`AGE-SECRET-KEY-1…`, several a file), or ssh private keys without a passphrase.
    ///
    /// # Errors
    /// Names the file that cannot be used; nothing of its contents is shown.
    pub fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for file in files {
            let text = fs::read(file).map_err(|error| {
                Failure::never(format!("the identity file {} cannot be read: {error}", file.display()))
            })?;
            all.extend(identities(file, &text)?);
        }
        Ok(Self(all))
    }

    /// One age identity, as text.
    ///
    /// # Errors
    /// When it is none.
    pub fn of_text(text: &Secret) -> Result<Self, Failure> {
        Ok(Self(identities(Path::new("(given)"), text.reveal().as_bytes())?))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Those of this recipient alone.
    #[must_use]
    pub fn of(&self, recipient: &str) -> Self {
        Self(self.0.iter().filter(|identity| identity.recipient == recipient).cloned().collect())
    }

    /// Whose they are.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|identity| identity.recipient.as_str())
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// When it is nothing sealed, or none of these opens it.
    pub(super) fn open<R: Read>(&self, from: R) -> io::Result<age::stream::StreamReader<R>> {
        let keys = self.0.iter().map(|identity| &*identity.key as &dyn age::Identity);
        age::Decryptor::new(from).and_then(|sealed| sealed.decrypt(keys)).map_err(|error| match error {
            age::DecryptError::Io(error) => error,
            age::DecryptError::NoMatchingKeys => io::Error::other(NoKey),
            other => io::Error::other(format!("it cannot be decrypted: {other}")),
        })
    }
}

/// None of the identities opens it.
#[derive(Debug, thiserror::Error)]
#[error("none of the given identities opens it")]
pub(super) struct NoKey;

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.recipients()).finish()
    }
}

fn identities(file: &Path, text: &[u8]) -> Result<Vec<Identity>, Failure> {
    let bad = |why: &str| {
        Failure::never(format!("the identity file {} cannot be used: {why}", file.display())).help(
            "name a file of age-keygen, or an ssh private key (ed25519 or rsa) without a passphrase that only this \
             user can read",
        )
    };
    if text.trim_ascii_start().starts_with(b"-----BEGIN") {
        let identity = age::ssh::Identity::from_buffer(text, None).map_err(|_| bad("it is no ssh private key"))?;
        if !matches!(identity, age::ssh::Identity::Unencrypted(_)) {
            return Err(bad("it has a passphrase, or is of a sort that age does not know"));
        }
        let recipient = age::ssh::Recipient::try_from(identity.clone()).map_err(|_| bad("it has no public side"))?;
        return Ok(vec![Identity { recipient: recipient.to_string(), key: Arc::new(identity) }]);
    }
    let text = std::str::from_utf8(text).map_err(|_| bad("it is no text"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Result<Vec<_>, _> = lines.map(str::parse::<age::x25519::Identity>).collect();
    let found = found.map_err(|_| bad("a line of it is no age identity"))?;
    if found.is_empty() {
        return Err(bad("there is no identity in it"));
    }
    let named = |key: age::x25519::Identity| Identity { recipient: key.to_public().to_string(), key: Arc::new(key) };
    Ok(found.into_iter().map(named).collect())
}

/// Bytes on their way to a vault, sealed or plain.
pub(super) enum Sealing<W: Write> {
    Plain(W),
    Sealed(Box<age::stream::StreamWriter<W>>),
}

impl<W: Write> Sealing<W> {
    /// Seals for these; plain for nobody.
    pub(super) fn new(to: W, recipients: &[Recipient]) -> io::Result<Self> {
        if recipients.is_empty() {
            return Ok(Self::Plain(to));
        }
        let keys = recipients.iter().map(|recipient| &*recipient.key as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(keys).map_err(io::Error::other)?;
        Ok(Self::Sealed(Box::new(encryptor.wrap_output(to)?)))
    }

    /// Ends the stream; without this a sealed one does not open.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(to) => Ok(to),
            Self::Sealed(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Sealed(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Sealed(writer) => writer.flush(),
        }
    }
}

/// A new age identity as age-keygen writes it, and its public side.
pub fn generate() -> (Secret, Recipient) {
    let key = age::x25519::Identity::generate();
    let public = key.to_public();
    let recipient = Recipient { text: public.to_string(), key: Arc::new(public) };
    (Secret::new(key.to_string().expose_secret()), recipient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipient_opens_and_nobody_else() {
        let (ours, first) = Identities::ephemeral();
        let (secret, second) = generate();
        let mut sealing = Sealing::new(Vec::new(), &[first, second.clone()]).expect("a writer");
        sealing.write_all(&[7; 200_000]).expect("written");
        let sealed = sealing.finish().expect("ended");
        let theirs = Identities::of_text(&secret).expect("an identity");
        assert_eq!(theirs.recipients().collect::<Vec<_>>(), [second.as_str()]);
        for identities in [&ours, &theirs] {
            let mut plain = Vec::new();
            identities.open(&sealed[..]).expect("opens").read_to_end(&mut plain).expect("read");
            assert_eq!(plain, [7; 200_000]);
        }
        let (stranger, _) = Identities::ephemeral();
        assert!(stranger.open(&sealed[..]).is_err_and(|error| error.to_string().contains("none of the given")));
        // A stream that was cut opens, and says so at its end.
        let cut = &sealed[..sealed.len() - 100_000];
        assert!(ours.open(cut).expect("opens").read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_secret_key_is_no_recipient_and_is_not_shown() {
        let (secret, _) = generate();
        let error = secret.reveal().parse::<Recipient>().expect_err("a secret");
        assert!(!error.to_string().contains(secret.reveal()), "{error}");
        assert!("age1nonsense".parse::<Recipient>().is_err());
        let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@rust";
        assert!(ssh.parse::<Recipient>().is_ok_and(|key| !key.as_str().contains("alice")));
    }
}
