//! Looks at the backup and the server, and says what would happen and what is in the way.

use std::collections::BTreeSet;

use chrono::Utc;
use sqlx::{Connection, PgConnection};

use super::{
    Request, database, definitions, fresh,
    place::{Asked, Place, place},
    preview::{Mode, Preview, Problem, Restored},
    roles, rows,
    script::Script,
    select,
    server::{self, Present, Server},
};
use crate::{
    backups::{
        load::{self, Broken, Load},
        manifest::{self, Manifest},
        program::Access,
        proof::Proof,
        scratch::free,
        tools::{self, Tools},
        work::{Ended, Work},
    },
    db::failure,
    outcome::Failure,
};

/// A restore that was looked at. Nothing has happened yet.
#[derive(Debug)]
pub struct Plan<'a> {
    /// What would happen.
    pub preview: Preview,
    pub(super) request: Request<'a>,
    pub(super) manifest: Manifest,
    pub(super) server: Server,
    pub(super) tools: Tools,
    pub(super) place: Place,
    /// Tables whose rows are restored, where these are not all.
    pub(super) chosen: Option<BTreeSet<String>>,
    /// Entries of the dump that are restored; all without it.
    pub(super) entries: Option<Vec<String>>,
    /// What is known for rows alone.
    pub(super) rows: Option<rows::Rows>,
    make_roles: Vec<String>,
}

impl Plan<'_> {
    /// Restores.
    ///
    /// # Errors
    /// When there are problems, or something goes wrong; then all is as it was.
    pub async fn carry_out(self, work: &Work<'_>) -> Result<Restored, Ended> {
        if let Some(problem) = self.preview.problems.first() {
            return Err(Failure::never(problem.what.clone()).help(problem.help.clone()).into());
        }
        match &self.rows {
            Some(known) => rows::restore(work, &self, known).await,
            None => fresh::restore(work, &self).await,
        }
    }

    /// Makes the roles that are missing.
    pub(super) async fn notes_of_making(&self, admin: &mut PgConnection) -> Result<Vec<String>, Failure> {
        fresh::make_roles(admin, &self.make_roles).await
    }
}

/// What the dump itself says.
struct Dump {
    script: Script,
    entries: Vec<String>,
}

pub(super) async fn plan<'a>(work: &Work<'_>, request: Request<'a>) -> Result<Plan<'a>, Ended> {
    let manifest = Manifest::read(request.vault, &request.backup.stem).await?;
    let refused = |error: sqlx::Error| Ended::Failed(failure(&error));
    let (_, mut admin) = server::admin(&request.login, &[]).await?;
    let server = server::server(&mut admin).await.map_err(refused)?;
    let mut problems = Vec::new();
    let mut notes = Vec::new();

    let login_database = request.login.database_name();
    let part = !request.tables.is_empty() || !request.schemas.is_empty();
    let asked = Asked {
        mode: request.mode,
        part,
        database: request.database.as_deref(),
        login: &login_database,
        source: &manifest.source.database,
        swap: request.swap,
    };
    let mut now = Utc::now();
    if asked.made(now).is_some() {
        let name = |at| asked.made(at).unwrap_or_default();
        now = server::free(&mut admin, now, name).await.map_err(refused)?;
    }
    let wanted = asked.wanted(now);
    let present = server::present(&request.login, &mut admin, &wanted).await.map_err(refused)?;
    let place = place(asked, present.as_ref(), now).unwrap_or_else(|problem| {
        problems.push(problem);
        Place::New(wanted.clone())
    });
    may(&server, &place, present.as_ref(), &mut problems);
    versions(&server, &manifest, &mut problems, &mut notes);
    if !matches!(place, Place::Onto(_)) {
        fits(&mut admin, &manifest, &place, &mut problems).await.map_err(refused)?;
    }

    // The dump's own programs must read it, and the server's own fit it best.
    let dumped_by = tools::major(&manifest.tools.pg_dump).unwrap_or_else(|| server.major());
    let newest = server.major().max(dumped_by);
    let found = tools::find(newest, request.pg_bin.as_deref(), work.pg_bin, work.spawner).await;
    let opens = opens(&manifest, &request, &mut problems);
    let mut plan = Plan {
        preview: Preview {
            backup: manifest.stem().to_string(),
            state: request.backup.state(),
            source: manifest.source.database.clone(),
            server: request.login.to_string(),
            server_version: server.version.clone(),
            mode: request.mode,
            database: place.replaces().unwrap_or(place.filled()).to_owned(),
            replaces: place.replaces().map(str::to_owned),
            there_now: present.as_ref().map(Present::told),
            tables: None,
            steps: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            forecast_seconds: None,
            server_bytes: manifest.source.database_bytes,
            scratch_bytes: 0,
            scratch_free: None,
        },
        tools: match &found {
            Ok(tools) => tools.clone(),
            Err(failure) => {
                problems.push(Problem::new(&failure.why, failure.help.clone().unwrap_or_default()));
                Tools { pg_dump: "pg_dump".into(), pg_restore: "pg_restore".into(), major: 0, version: String::new() }
            }
        },
        request,
        manifest,
        server,
        place,
        chosen: None,
        entries: None,
        rows: None,
        make_roles: Vec::new(),
    };
    let leftovers = database::leftovers(&mut admin).await.map_err(refused)?;
    if opens && found.is_ok() {
        let dump = read(work, &plan).await?;
        plan.choose(&dump, &mut problems);
        plan.roles(&dump, &mut problems, &mut notes).await?;
        if matches!(plan.place, Place::Onto(_)) {
            plan.rows = Some(rows::look(&plan, &dump.script, &dump.entries, &mut problems).await?);
        }
    }
    let _ = admin.close().await;
    plan.room(&mut problems);
    plan.preview.tables = plan.chosen.as_ref().map(|chosen| chosen.iter().cloned().collect());
    plan.preview.forecast_seconds = plan.forecast().await?;
    plan.preview.steps = plan.steps(present.as_ref(), &leftovers);
    if !plan.request.backup.is_proven() {
        notes.push(format!("nobody has proven this backup: its state is {}", plan.preview.state));
    }
    (plan.preview.problems, plan.preview.notes) = (problems, notes);
    Ok(plan)
}

/// What our user must be allowed to.
fn may(server: &Server, place: &Place, present: Option<&Present>, problems: &mut Vec<Problem>) {
    let user = &server.user;
    if place.is_made() && !server.makes_databases {
        let help =
            format!("alter role \"{user}\" createdb, or have an empty database made and name it with --database");
        problems.push(Problem::new(format!("the user {user} may not make a database"), help));
    }
    if place.replaces().is_some() && present.is_some_and(|present| !present.is_ours) {
        let help = "swap as its owner or as a superuser, or restore without --swap";
        problems.push(Problem::new(format!("the user {user} does not own the database and may not rename it"), help));
    }
}

fn versions(server: &Server, manifest: &Manifest, problems: &mut Vec<Problem>, notes: &mut Vec<String>) {
    let Some(from) = manifest.major() else { return };
    let to = server.major();
    if to < from {
        let what = format!("the backup is of PostgreSQL {from}, and the server is {to}");
        problems.push(Problem::new(what, "restore on a server of its major or a newer one"));
    } else if to > from {
        notes.push(format!(
            "the backup is of PostgreSQL {from} and the server is {to}: rows are counted, not compared byte by byte"
        ));
    }
}

async fn fits(
    admin: &mut PgConnection,
    manifest: &Manifest,
    place: &Place,
    problems: &mut Vec<Problem>,
) -> Result<(), sqlx::Error> {
    let lacking = server::lacking(admin, &manifest.source.extensions).await?;
    if !lacking.is_empty() {
        let help = "install their packages on the server's machine (for contrib's, postgresql-contrib)";
        problems.push(Problem::new(format!("the server lacks extensions: {}", lacking.join(", ")), help));
    }
    if let Some(locale) = manifest.source.locale.as_ref().filter(|_| place.is_made())
        && !server::knows(admin, locale).await?
    {
        let help = "install it on the server's machine (Debian: locale-gen) and restart the server";
        problems.push(Problem::new(format!("the server's machine does not know the locale {}", locale.collate), help));
    }
    Ok(())
}

/// Whether one of the identities opens it.
fn opens(manifest: &Manifest, request: &Request<'_>, problems: &mut Vec<Problem>) -> bool {
    let sealed = manifest.parts.iter().any(|part| part.key.ends_with(".age"));
    let known = |recipient: &str| {
        manifest.recipients.iter().chain(&manifest.ephemeral_recipient).any(|known| known == recipient)
    };
    if !sealed || request.identities.recipients().any(known) {
        return true;
    }
    let what = match request.identities.is_empty() {
        true => "the backup is sealed, and no identity is given".to_owned(),
        false => "none of the given identities opens the backup".to_owned(),
    };
    let help = format!("name the file of one of its recipients with --identity: {}", manifest.recipients.join(", "));
    problems.push(Problem::new(what, help));
    false
}

async fn read(work: &Work<'_>, plan: &Plan<'_>) -> Result<Dump, Ended> {
    let access = Access::new(&plan.request.login)?;
    let order = Load {
        vault: plan.request.vault,
        manifest: &plan.manifest,
        identities: &plan.request.identities,
        access: &access,
        tools: &plan.tools,
        flags: &[],
        entries: None,
        jobs: 1,
        scratch: &plan.request.scratch,
    };
    let script = definitions::read(work, &order).await?;
    let entries = load::entries(work, &order).await?;
    Ok(Dump { script, entries })
}

impl Plan<'_> {
    fn choose(&mut self, dump: &Dump, problems: &mut Vec<Problem>) {
        let request = &self.request;
        if request.tables.is_empty() && request.schemas.is_empty() {
            return;
        }
        let chosen = select::choose(&dump.script, &dump.entries, &request.tables, &request.schemas, problems);
        if !matches!(self.place, Place::Onto(_)) {
            self.entries = Some(select::for_new(&dump.script, &dump.entries, &chosen));
        }
        self.chosen = Some(chosen);
    }

    /// Roles that the restore needs and the server lacks.
    async fn roles(&mut self, dump: &Dump, problems: &mut Vec<Problem>, notes: &mut Vec<String>) -> Result<(), Ended> {
        if self.request.mode == Mode::DataOnly {
            return Ok(());
        }
        let mut needed = dump.script.policy_roles.clone();
        if self.request.owners {
            needed.extend(dump.script.roles.iter().cloned());
            needed.extend(self.manifest.source.settings.iter().filter_map(|setting| setting.role.clone()));
        }
        let mut missing: BTreeSet<String> =
            needed.into_iter().filter(|role| !self.server.roles.contains(role)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if let Some(part) = self.manifest.globals().filter(|_| self.request.globals) {
            let sql = load::text(self.request.vault, part, &self.request.identities).await.map_err(Ended::from)?;
            let (statements, made) = roles::making(&sql, &missing);
            if !statements.is_empty() && !self.server.makes_roles {
                let what = format!("the user {} may not make roles", self.server.user);
                problems.push(Problem::new(what, "alter role … createrole, or have them made"));
            }
            if !statements.iter().any(|statement| statement.contains(" PASSWORD ")) {
                let names = made.iter().cloned().collect::<Vec<_>>().join(", ");
                notes.push(format!("the backup has no passwords of roles: set those of {names} afterwards"));
            }
            missing.retain(|role| !made.contains(role));
            self.make_roles = statements;
        }
        if !missing.is_empty() {
            let names = missing.into_iter().collect::<Vec<_>>().join(", ");
            let help = match (self.manifest.globals(), self.request.globals) {
                (Some(_), false) => "make them from the backup with --globals, or restore with --no-owner",
                _ => "make them by hand, or restore with --no-owner (policies need theirs all the same)",
            };
            problems.push(Problem::new(format!("the server lacks roles: {names}"), help));
        }
        Ok(())
    }

    /// Scratch on this machine.
    fn room(&mut self, problems: &mut Vec<Problem>) {
        let alone = matches!(self.place, Place::Empty(_) | Place::Onto(_));
        if self.manifest.mode == manifest::Mode::Single && (self.request.jobs <= 1 || alone) {
            return;
        }
        let (needed, at) = (self.manifest.dump_bytes(), self.request.scratch.display());
        self.preview.scratch_bytes = needed;
        match free(&self.request.scratch) {
            Ok(room) => {
                self.preview.scratch_free = Some(room);
                if room < needed {
                    let what = format!("{needed} bytes of scratch are needed, and {at} has room for {room}");
                    problems.push(Problem::new(what, "name another folder with --scratch, or restore with --jobs 1"));
                }
            }
            Err(error) => {
                problems.push(Problem::new(format!("the scratch folder {at}: {error}"), "name one with --scratch"));
            }
        }
    }

    /// How long it may take: as long as when it was proven, for as much of it as is restored.
    async fn forecast(&self) -> Result<Option<f64>, Ended> {
        if self.request.mode == Mode::SchemaOnly {
            return Ok(None);
        }
        let proof = Proof::newest(self.request.vault, &self.request.backup.keys).await?;
        let Some(seconds) = proof.and_then(|proof| proof.restore_seconds) else { return Ok(None) };
        let share = match (&self.chosen, &self.manifest.fingerprint) {
            (Some(chosen), Some(fingerprint)) => {
                let rows: i64 = chosen.iter().filter_map(|name| fingerprint.tables.get(name)).map(|t| t.rows).sum();
                rows as f64 / fingerprint.rows().max(1) as f64
            }
            _ => 1.0,
        };
        Ok(Some((seconds * share * 10.0).round() / 10.0))
    }

    fn steps(&self, present: Option<&Present>, leftovers: &[String]) -> Vec<String> {
        let mut steps = Vec::new();
        let filled = self.place.filled();
        if !self.make_roles.is_empty() {
            steps.push("make the roles that are missing, from the backup's globals".to_owned());
        }
        if matches!(self.place, Place::Onto(_)) {
            let tables = self.rows.as_ref().map_or(0, |rows| rows.tables.len());
            steps.push(format!(
                "fill {tables} empty tables of {filled} in one transaction: their rows, sequences{}, then every foreign \
                 key checked and materialized views refreshed",
                if self.chosen.is_none() { ", large objects" } else { "" }
            ));
        } else {
            if !leftovers.is_empty() {
                steps.push(format!("drop {}, which killed restores left unfinished", leftovers.join(", ")));
            }
            if self.place.is_made() {
                steps.push(format!("make the new database {filled}"));
            }
            let jobs =
                if self.request.jobs > 1 { format!(" by {} connections", self.request.jobs) } else { String::new() };
            let what = match (self.request.mode, &self.chosen) {
                (Mode::SchemaOnly, _) => "all definitions".to_owned(),
                (_, Some(chosen)) => format!("all definitions and the rows of {} tables", chosen.len()),
                _ => "all definitions and rows".to_owned(),
            };
            let alone = if self.place.is_made() { "" } else { ", in one transaction" };
            steps.push(format!("restore {what} into {filled}{jobs}{alone}"));
            if !self.manifest.source.settings.is_empty() {
                steps.push(format!("give it the {} settings of the source", self.manifest.source.settings.len()));
            }
        }
        steps.push(match &self.manifest.fingerprint {
            Some(_) => "compare it with the fingerprint of the dump; stop there if anything differs".to_owned(),
            None => "the backup has no fingerprint, so nothing is compared".to_owned(),
        });
        if let Some(taken) = self.place.replaces() {
            let sessions = present.map_or(0, |present| present.sessions);
            let days = self.request.keep_old.as_secs() / 86_400;
            steps.push(format!(
                "end the sessions of {taken} ({sessions} now), rename it to {taken}_replaced_…, and rename {filled} to \
                 {taken}, both or none; the old one is kept for {days} days"
            ));
        }
        steps
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match Ended::from(broken) {
            Ended::Failed(failure) => failure,
            Ended::Stopped => Self::never("it was told to stop"),
        }
    }
}
