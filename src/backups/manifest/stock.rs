//! The commands that restore a backup without Sexton: age, zstd and PostgreSQL's own programs.

use super::{Manifest, Mode, Role};
use crate::{
    backups::name::Stem,
    vault::{Vault, shell_word},
};

/// For a new database. `AGE_IDENTITY` is the file of somebody who may read it.
pub(in crate::backups) fn restore(manifest: &Manifest, vault: &Vault, stem: &Stem) -> String {
    let into = new_database(&manifest.source.database);
    let create = create(manifest, &into);
    match manifest.mode {
        Mode::Single => {
            let dump = manifest.parts.iter().find(|part| part.role == Role::Dump);
            let read = dump.map(|part| vault.read_command(&part.key)).unwrap_or_default();
            let open = open(manifest);
            format!("{create} && {read}{open} | zstd -dc | pg_restore --exit-on-error --dbname={into}")
        }
        Mode::Parallel => {
            let (packed, plain) = (format!("{stem}.packed"), format!("{stem}.dump"));
            let copy = vault.copy_command(&format!("{stem}/"), &packed);
            let ending = if manifest.recipients.is_empty() { ".zst" } else { ".zst.age" };
            format!(
                "mkdir {plain} && {copy} && \
                 for file in {packed}/*{ending}; do cat \"$file\"{} | zstd -dc > {plain}/$(basename \"$file\" {ending}) || exit 1; done && \
                 {create} && pg_restore --exit-on-error --jobs=4 --dbname={into} {plain}",
                open(manifest)
            )
        }
    }
}

/// For its roles and other globals.
pub(in crate::backups) fn globals(manifest: &Manifest, vault: &Vault) -> Option<String> {
    let part = manifest.globals()?;
    let read = vault.read_command(&part.key);
    Some(format!("{read}{} | zstd -dc | psql --no-psqlrc --dbname=postgres", open(manifest)))
}

fn open(manifest: &Manifest) -> &'static str {
    let plain = manifest.recipients.is_empty() && manifest.ephemeral_recipient.is_none();
    if plain { "" } else { " | age --decrypt --identity \"$AGE_IDENTITY\"" }
}

fn create(manifest: &Manifest, into: &str) -> String {
    let locale = manifest.source.locale.as_ref().map(|locale| {
        let own = |key: &str, value: &str| format!(" --{key}={}", shell_word(value));
        let mut flags = own("encoding", &locale.encoding);
        flags += &own("lc-collate", &locale.collate);
        flags += &own("lc-ctype", &locale.ctype);
        if let (true, Some(name)) = (locale.provider != "libc", &locale.locale) {
            flags += &own("locale-provider", &locale.provider);
            let key = if locale.provider == "icu" { "icu-locale" } else { "builtin-locale" };
            flags += &own(key, name);
        }
        flags
    });
    format!("createdb --template=template0{} {into}", locale.unwrap_or_default())
}

fn new_database(database: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    database.chars().map(plain).chain("_restored".chars()).collect()
}
