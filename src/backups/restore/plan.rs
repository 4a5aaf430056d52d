//! Looks at the backup and the server, and says what would happen and what is in the way.

use std::collections::BTreeSet;

use chrono::Utc;
use sqlx::{Connection, PgConnection};

use super::{
    Request, database, definitions, fresh,
    obstacles::{fits, may, opens, versions},
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
        manifest::Manifest,
        program::Access,
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
    pub(super) make_roles: Vec<String>,
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
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match Ended::from(broken) {
            Ended::Failed(failure) => failure,
            Ended::Stopped => Self::never("it was told to stop"),
        }
    }
}
