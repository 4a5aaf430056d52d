//! What is in the way of a restore: rights, versions, extensions, keys and room.

use sqlx::PgConnection;

use super::{
    Request,
    place::Place,
    plan::Plan,
    preview::Problem,
    server::{self, Present, Server},
};
use crate::backups::{
    manifest::{self, Manifest},
    scratch::free,
};

/// What our user must be allowed to.
pub(super) fn may(server: &Server, place: &Place, present: Option<&Present>, problems: &mut Vec<Problem>) {
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

/// Whether the server is of the backup's major, or newer.
pub(super) fn versions(server: &Server, manifest: &Manifest, problems: &mut Vec<Problem>, notes: &mut Vec<String>) {
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

/// Whether the server has what the dump needs of it.
pub(super) async fn fits(
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
pub(super) fn opens(manifest: &Manifest, request: &Request<'_>, problems: &mut Vec<Problem>) -> bool {
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

impl Plan<'_> {
    /// Scratch on this machine.
    pub(super) fn room(&mut self, problems: &mut Vec<Problem>) {
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
}
