//! A URL that names several hosts, as libpq reads it: `postgres://u@a:5432,b:5433/d`, or `?host=a,b&port=5432,5433`.

use url::Url;

use super::LoginError;
use crate::secret::Secret;

/// What a URL says: one URL a host, in its order and without the password, and the password apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hosts {
    pub(super) urls: Vec<Url>,
    pub(super) password: Option<Secret>,
    /// The URL for people.
    pub(super) shown: String,
}

/// Reads a URL.
pub(super) fn hosts(text: &str) -> Result<Hosts, LoginError> {
    let (before, list, after) = authority(text);
    let names: Vec<&str> = list.split(',').collect();
    let mut urls = Vec::new();
    let mut password = None;
    for name in &names {
        // One with a list that is no host at all is told by the parser.
        let mut url = Url::parse(&format!("{before}{name}{after}"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(LoginError::Scheme(url.scheme().to_owned()));
        }
        password = url.password().map(decode).map(Secret::new);
        // A URL without a host refuses to have its password set; it has none then.
        let _ = url.set_password(None);
        urls.push(url);
    }
    if let [only] = urls.as_slice() {
        urls = in_query(only)?;
    }
    let urls = urls.into_iter().map(without_role).collect::<Result<Vec<_>, _>>()?;
    let shown = match urls.as_slice() {
        [one] => one.to_string(),
        many => {
            // Shown whole once; of the others only what differs.
            let others: Vec<String> = many.iter().map(address).collect();
            let database = many[0].path().to_owned();
            format!("{}{}{database}", user(&many[0]), others.join(","))
        }
    };
    Ok(Hosts { urls, password, shown })
}

/// A host and its port, for people.
pub(super) fn address(url: &Url) -> String {
    let of_query = |key: &str| url.query_pairs().find(|(k, _)| k == key).map(|(_, value)| value.into_owned());
    let host = url.host_str().filter(|host| !host.is_empty()).map(str::to_owned).or_else(|| of_query("host"));
    let port = url.port().map(|port| port.to_string()).or_else(|| of_query("port"));
    format!("{}:{}", host.unwrap_or_else(|| "localhost".to_owned()), port.unwrap_or_else(|| "5432".to_owned()))
}

fn user(url: &Url) -> String {
    if url.username().is_empty() { "postgres://".to_owned() } else { format!("postgres://{}@", url.username()) }
}

/// What stands before, in and after the list of hosts.
fn authority(text: &str) -> (&str, &str, &str) {
    let Some(start) = text.find("://").map(|at| at + 3) else { return (text, "", "") };
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    let start = text[start..end].rfind('@').map_or(start, |at| start + at + 1);
    (&text[..start], &text[start..end], &text[end..])
}

/// `?host=a,b&port=1,2` as a URL each.
fn in_query(url: &Url) -> Result<Vec<Url>, LoginError> {
    let list = |key: &str| -> Vec<String> {
        let found = url.query_pairs().find(|(k, _)| k == key);
        found.map(|(_, value)| value.split(',').map(str::to_owned).collect()).unwrap_or_default()
    };
    let (names, ports) = (list("host"), list("port"));
    let count = names.len().max(1);
    if count == 1 && ports.len() <= 1 {
        return Ok(vec![url.clone()]);
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(LoginError::Ports { hosts: count, ports: ports.len() });
    }
    let each = names.iter().enumerate().map(|(n, name)| {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(key, value)| {
                let value = match key.as_ref() {
                    "host" => name.clone(),
                    "port" if ports.len() > 1 => ports[n].clone(),
                    _ => value.into_owned(),
                };
                (key.into_owned(), value)
            })
            .collect();
        let mut one = url.clone();
        one.query_pairs_mut().clear().extend_pairs(pairs);
        one
    });
    Ok(each.collect())
}

/// Without `target_session_attrs`: Sexton looks for the server that takes writes by itself.
fn without_role(mut url: Url) -> Result<Url, LoginError> {
    let wanted = url.query_pairs().find(|(key, _)| key == "target_session_attrs").map(|(_, value)| value.into_owned());
    match wanted.as_deref() {
        None => return Ok(url),
        Some("any" | "read-write" | "primary") => {}
        Some(other) => return Err(LoginError::Role(other.to_owned())),
    }
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != "target_session_attrs")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}

/// Percent-decodes a part of a URL.
fn decode(part: &str) -> String {
    // A query string decodes the same way, but for `+`, which a password means literally.
    url::form_urlencoded::parse(format!("p={}", part.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<String> {
        hosts(text).expect("a URL").urls.iter().map(address).collect()
    }

    #[test]
    fn hosts_are_read_as_libpq_reads_them() {
        assert_eq!(addresses("postgres://u:p@a:5432,b:5433,[::1]:7/d"), ["a:5432", "b:5433", "[::1]:7"]);
        assert_eq!(addresses("postgres://u@a,b/d?sslmode=disable"), ["a:5432", "b:5432"]);
        assert_eq!(addresses("postgres:///d?host=/run/a,/run/b&port=1,2&user=u"), ["/run/a:1", "/run/b:2"]);
        assert_eq!(addresses("postgres:///d?host=/run/a,/run/b&port=7"), ["/run/a:7", "/run/b:7"]);
        assert_eq!(addresses("postgres://db/d?target_session_attrs=read-write"), ["db:5432"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(matches!(hosts("postgres:///d?host=a,b&port=1,2,3"), Err(LoginError::Ports { hosts: 2, ports: 3 })));
        assert!(matches!(hosts("postgres://a,b/d?target_session_attrs=standby"), Err(LoginError::Role(_))));
        assert!(matches!(hosts("postgres://a:x,b/d"), Err(LoginError::Url(_))));
        assert!(matches!(hosts("mysql://a/d"), Err(LoginError::Scheme(_))));
    }

    #[test]
    fn the_password_is_kept_apart_and_never_shown() {
        let read = hosts("postgres://u:s3+cr%40t@a,b:1/d").expect("a URL");
        assert_eq!(read.password.as_ref().map(Secret::reveal), Some("s3+cr@t"));
        assert_eq!(read.shown, "postgres://u@a:5432,b:1/d");
        assert!(read.urls.iter().all(|url| url.password().is_none()));
    }
}
