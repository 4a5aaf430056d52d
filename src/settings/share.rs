//! Shares as ops write them: `50%`.

use std::{fmt, str::FromStr};

/// A part of a whole, in whole percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

impl Share {
    /// A share of so many percent, at most all.
    pub const fn percent(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// Whether `part` of `whole` is more than this.
    pub fn is_less_than(self, part: usize, whole: usize) -> bool {
        part * 100 > usize::from(self.0) * whole
    }
}

/// Why a text is no share.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a share (write whole percent from 0% to 100%: \"50%\")")]
pub struct ShareError(String);

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let number = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<u8>().ok());
        number.filter(|percent| *percent <= 100).map(Self).ok_or_else(|| ShareError(text.to_owned()))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_not_more_than_half() {
        let half: Share = "50%".parse().expect("a share");
        assert!(!half.is_less_than(2, 4) && half.is_less_than(3, 5) && half.is_less_than(1, 1));
        assert!(!half.is_less_than(0, 0) && !Share::percent(100).is_less_than(4, 4));
        assert!(Share::percent(0).is_less_than(1, 1_000));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["50", "0.5", "101%", "-1%", "%", "half"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
