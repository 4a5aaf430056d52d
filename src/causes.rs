//! Errors told with what caused them.

use std::error::Error;

/// An error with its causes, from the outermost one, which often says only "error sending request", to the first one. A
/// cause that the text has already is not said again.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{says}")]
    struct Layer {
        says: &'static str,
        source: io::Error,
    }

    #[test]
    fn each_cause_is_told_once() {
        let deepest = || io::Error::from(io::ErrorKind::ConnectionReset);
        let outer =
            Layer { says: "client error", source: io::Error::other(Layer { says: "sending", source: deepest() }) };
        assert_eq!(with_causes(&outer), format!("client error: sending: {}", deepest()));
        let repeats = Layer { says: "sending: connection reset", source: deepest() };
        assert_eq!(with_causes(&repeats), "sending: connection reset");
    }
}
