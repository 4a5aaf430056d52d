//! Numbers of bytes as ops write them.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::expect::size;

/// A number of bytes: `"64 MiB"`, `"50 MB/s"` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bytes(pub f64);

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size, a size a second, or a number of bytes.",
            "anyOf": [
                { "type": "string", "pattern": "^\\s*[0-9.]+\\s*(B|kB|KiB|MB|MiB|GB|GiB|TB|TiB)\\s*(/s)?$" },
                { "type": "integer", "minimum": 0 },
            ],
            "examples": ["64 MiB", "50 MB/s"],
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size: \"64 MiB\", \"50 MB/s\" or a number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                let amount = text.strip_suffix("/s").unwrap_or(text).trim();
                let bytes = size(amount).filter(|bytes| *bytes >= 0.0);
                bytes.map(Bytes).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(bytes), &self);
                u64::try_from(bytes).map(|bytes| Bytes(bytes as f64)).map_err(|_| wrong())
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes as f64))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1_024.0)];
        match units.iter().find(|(_, unit)| self.0 >= *unit) {
            Some((name, unit)) => {
                let text = format!("{:.1}", self.0 / unit);
                write!(f, "{} {name}", text.trim_end_matches(".0"))
            }
            None => write!(f, "{} B", self.0),
        }
    }
}
