//! What an API token may do: `<resource>:read` and `<resource>:write`.

use http::Method;

/// Resources a scope can name: the first word of the path after `/rest`.
pub const RESOURCES: &[&str] = &[
    "account",
    "admin",
    "address",
    "app",
    "auth",
    "batch",
    "call",
    "dev",
    "dict",
    "event",
    "lease",
    "lookup",
    "order",
    "payment",
    "profile",
    "record",
    "shaken",
    "sip",
    "sms",
    "tcr",
    "tn",
    "tn_profile",
    "token",
    "transaction",
    "user",
    "webhook",
];

/// `None` is everything the user may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Option<Vec<String>>);

impl Scopes {
    #[must_use]
    pub fn all() -> Self {
        Self(None)
    }

    /// Of a stored token; an empty list is all.
    #[must_use]
    pub fn of_token(scopes: &[String]) -> Self {
        if scopes.is_empty() { Self(None) } else { Self(Some(scopes.to_vec())) }
    }

    /// Whether a request may be made.
    #[must_use]
    pub fn allow(&self, method: &Method, path: &str) -> bool {
        let resource = path.trim_start_matches("/rest/").split('/').next().unwrap_or_default();
        // Who one is may always be asked.
        resource == "auth" || self.has(resource, !reads(method, path))
    }

    /// `write` includes `read`.
    #[must_use]
    pub fn has(&self, resource: &str, write: bool) -> bool {
        let Some(scopes) = &self.0 else { return true };
        scopes.iter().any(|scope| match scope.split_once(':') {
            Some((of, "write")) => of == resource,
            Some((of, "read")) => of == resource && !write,
            _ => false,
        })
    }

    /// Whether every one of `wanted` is covered: a token must not make a stronger one.
    #[must_use]
    pub fn cover(&self, wanted: &[String]) -> bool {
        self.0.is_none()
            || !wanted.is_empty()
                && wanted.iter().all(|scope| match scope.split_once(':') {
                    Some((resource, right)) => self.has(resource, right == "write"),
                    None => false,
                })
    }
}

/// POST is how searches and prices are asked for.
fn reads(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        || *method == Method::POST
            && (path.split('/').any(|segment| segment == "search")
                || path.ends_with("/price")
                || path.ends_with("/preview")
                || path.ends_with("/logs"))
}

/// Whether a text is a scope.
#[must_use]
pub fn is_scope(text: &str) -> bool {
    matches!(text.split_once(':'), Some((resource, "read" | "write")) if RESOURCES.contains(&resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(list: &[&str]) -> Scopes {
        Scopes::of_token(&list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn read_reads_and_write_does_both() {
        let token = scopes(&["call:read", "sms:write"]);
        assert!(token.allow(&Method::GET, "/rest/call/online"));
        assert!(token.allow(&Method::POST, "/rest/call/search"));
        assert!(!token.allow(&Method::POST, "/rest/call"));
        assert!(token.allow(&Method::POST, "/rest/sms"));
        assert!(token.allow(&Method::GET, "/rest/sms/1"));
        assert!(!token.allow(&Method::GET, "/rest/token/list"));
        assert!(token.allow(&Method::GET, "/rest/auth"));
        assert!(scopes(&[]).allow(&Method::DELETE, "/rest/token/all"));
    }

    #[test]
    fn a_token_covers_no_more_than_it_may() {
        let token = scopes(&["token:write", "sms:write"]);
        let wants = |list: &[&str]| token.cover(&list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        assert!(wants(&["sms:read"]));
        assert!(!wants(&["call:read"]));
        assert!(!wants(&[]));
    }

    #[test]
    fn scopes_name_resources() {
        assert!(is_scope("call:write"));
        assert!(!is_scope("call"));
        assert!(!is_scope("call:execute"));
        assert!(!is_scope("everything:read"));
    }
}
