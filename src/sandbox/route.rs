//! Which of the platform's calls a method and a path mean.

/// The calls that the sandbox answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// A custom app asks for its tenant token.
    CustomTenantToken,
    /// A store app asks for its app token.
    StoreAppToken,
    /// A store app asks for the token of one tenant.
    StoreTenantToken,
    /// A store app asks for its ticket to be sent again.
    ResendTicket,
    /// Subscribe to the events of one approval.
    Subscribe,
    /// Unsubscribe from them.
    Unsubscribe,
    /// Read a definition.
    Read,
}

/// The call, and the text that stands in the path where the approval code belongs. `None`: the platform has no
/// such call, or the sandbox does not know it.
pub(super) fn route<'a>(method: &str, path: &'a str) -> Option<(Api, Option<&'a str>)> {
    // The platform takes a slash at the end, which many clients send.
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.strip_prefix("/open-apis/")?.split('/').collect();
    match (method, parts.as_slice()) {
        ("POST", ["auth", "v3", "tenant_access_token", "internal"]) => Some((Api::CustomTenantToken, None)),
        ("POST", ["auth", "v3", "app_access_token"]) => Some((Api::StoreAppToken, None)),
        ("POST", ["auth", "v3", "tenant_access_token"]) => Some((Api::StoreTenantToken, None)),
        ("POST", ["auth", "v3", "app_ticket", "resend"]) => Some((Api::ResendTicket, None)),
        ("POST", ["approval", "v4", "approvals", code, "subscribe"]) => Some((Api::Subscribe, Some(code))),
        ("POST", ["approval", "v4", "approvals", code, "unsubscribe"]) => {
            Some((Api::Unsubscribe, Some(code)))
        }
        ("GET", ["approval", "v4", "approvals", code]) => Some((Api::Read, Some(code))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_method_on_the_right_path_is_a_call() {
        let code = "/open-apis/approval/v4/approvals/A-1";
        for (method, path, expected) in [
            ("GET", code, Some((Api::Read, Some("A-1")))),
            ("POST", code, None),
            ("POST", &format!("{code}/unsubscribe"), Some((Api::Unsubscribe, Some("A-1")))),
            ("GET", &format!("{code}/unsubscribe"), None),
            ("POST", &format!("{code}/subscribe/"), Some((Api::Subscribe, Some("A-1")))),
            ("POST", &format!("{code}/subscribe//"), None),
            (
                "POST",
                "/open-apis/auth/v3/tenant_access_token/internal/",
                Some((Api::CustomTenantToken, None)),
            ),
            ("post", "/open-apis/auth/v3/app_access_token", None),
            ("GET", "/", None),
            ("GET", "", None),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }
}
