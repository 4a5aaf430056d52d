//! The one command that installs PostgreSQL on this system.

/// The command for this machine, or general words where the system is not known.
pub fn install_command() -> String {
    if cfg!(target_os = "macos") {
        return "brew install postgresql@17".to_owned();
    }
    command_for(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

/// Decides from the text of `/etc/os-release`: `ID` first, then the families in `ID_LIKE`.
fn command_for(os_release: &str) -> String {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_lowercase())
            .unwrap_or_default()
    };
    let families = format!("{} {}", value("ID"), value("ID_LIKE"));
    let known = families.split_whitespace().find_map(|family| match family {
        "debian" | "ubuntu" => Some("apt-get update && apt-get install -y postgresql"),
        "fedora" | "rhel" | "centos" => Some("dnf install -y postgresql-server postgresql"),
        "alpine" => Some("apk add postgresql postgresql-client"),
        "arch" => Some("pacman -S --noconfirm postgresql"),
        "suse" | "opensuse" => Some("zypper install -y postgresql-server"),
        _ => None,
    });
    known.unwrap_or("install your system's PostgreSQL server package, or name its folder in SEXTON_PG_BIN").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_its_command() {
        for (text, word) in [
            ("NAME=\"Debian\"\nID=debian\n", "apt-get"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf"),
            ("ID=alpine\n", "apk"),
            ("ID=arch\n", "pacman"),
            ("", "SEXTON_PG_BIN"),
        ] {
            assert!(command_for(text).contains(word), "{text:?} gives {}", command_for(text));
        }
    }
}
