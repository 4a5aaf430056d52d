//! Names in job files that something else must define: channels, targets and vaults in the settings, data sets.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    Problem,
    doc::{self, Doc},
    problem::Severity,
};
use crate::db::Sources;

/// What the settings define.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// `[targets.NAME]`.
    pub targets: BTreeSet<String>,
    /// `[vaults.NAME]`.
    pub vaults: BTreeSet<String>,
    /// `[channels.NAME]`.
    pub channels: BTreeSet<String>,
    /// What `sources` of each target allows.
    pub sources: BTreeMap<String, Sources>,
    /// Whether `[alerts] default` names anybody.
    pub default_alert: bool,
}

/// What sort of name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Target,
    Vault,
    Channel,
    Dataset,
    /// A table that the target of that name must allow.
    Source,
    /// The job has no `alert` key, so the settings must say who is told.
    NoAlert,
}

impl What {
    /// The key that usually holds it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Vault => "vault",
            Self::Channel | Self::NoAlert => "alert",
            Self::Dataset => "dataset",
            Self::Source => "source",
        }
    }
}

/// A name, and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    pub(super) what: What,
    pub(super) name: String,
    /// Where it must be defined, if that is a thing with a name too.
    pub(super) of: Option<String>,
    pub(super) place: Problem,
}

impl Mention {
    pub(super) fn new(doc: &Doc<'_>, what: What, name: &str, span: Range<usize>) -> Self {
        let place = Problem::at(doc.file, doc.text, span, String::new(), None);
        Self { what, name: name.to_owned(), of: None, place }
    }

    /// What is wrong with it, given what is defined.
    pub(super) fn check(&self, names: &Names) -> Option<Problem> {
        match self.what {
            What::Target => self.defined("target", "targets", &names.targets),
            What::Vault => self.defined("vault", "vaults", &names.vaults),
            What::Channel => self.defined("channel", "channels", &names.channels),
            What::Dataset => None,
            What::Source => self.allowed(names),
            What::NoAlert if names.default_alert => None,
            What::NoAlert => Some(Problem {
                severity: Severity::Warning,
                line: None,
                column: None,
                span: None,
                message: "nobody is told when this job fails: it has no `alert`, and [alerts] has no default".into(),
                help: Some("add alert = [\"CHANNEL\"] here, or default = [\"CHANNEL\"] to [alerts] in sexton.toml; alert = [] means the log only".into()),
                ..self.place.clone()
            }),
        }
    }

    fn allowed(&self, names: &Names) -> Option<Problem> {
        let target = self.of.as_deref()?;
        // A target that is not defined is a problem of its own.
        let sources = names.sources.get(target)?;
        (!sources.may_allow(&self.name)).then(|| Problem {
            message: format!("the settings do not allow `{}` as a source in target `{target}`", self.name),
            help: Some(sources.help(target, &self.name)),
            ..self.place.clone()
        })
    }

    fn defined(&self, word: &str, table: &str, known: &BTreeSet<String>) -> Option<Problem> {
        if known.contains(&self.name) {
            return None;
        }
        let name = &self.name;
        let near = doc::suggest(name, known.iter().map(String::as_str));
        Some(Problem {
            message: format!("the settings have no {word} `{name}`"),
            help: Some(near.unwrap_or_else(|| {
                let all: Vec<_> = known.iter().map(String::as_str).collect();
                let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                format!("add [{table}.{name}] to sexton.toml; there are: {all}")
            })),
            ..self.place.clone()
        })
    }

    /// The same for data sets, which are files too.
    pub(super) fn check_dataset(&self, known: &BTreeSet<&str>) -> Option<Problem> {
        if self.what != What::Dataset || known.contains(self.name.as_str()) {
            return None;
        }
        let name = &self.name;
        let near = doc::suggest(name, known.iter().copied());
        Some(Problem {
            message: format!("there is no data set `{name}`"),
            help: Some(near.unwrap_or_else(|| format!("make jobs/datasets/{name}.toml"))),
            ..self.place.clone()
        })
    }
}
