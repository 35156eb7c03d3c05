//! The platform's refusals: HTTP status, code, message.

/// One refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: i64,
    pub(super) msg: &'static str,
}

const fn refusal(status: u16, code: i64, msg: &'static str) -> Refusal {
    Refusal { status, code, msg }
}

// The calls of a subscription.
pub(super) const PARAM_INVALID: Refusal = refusal(400, 1390001, "param is invalid");
pub(super) const CODE_NOT_FOUND: Refusal = refusal(400, 1390002, "approval code not found");
pub(super) const SUBSCRIPTION_EXISTED: Refusal = refusal(400, 1390007, "subscription existed");
pub(super) const SERVICE_ERROR: Refusal =
    refusal(400, 1395001, "There have been some errors. Please try again later");

// The gateway before every call.
pub(super) const RATE_LIMITED: Refusal = refusal(429, 99991400, "request trigger frequency limit");
pub(super) const RATE_LIMITED_OLD: Refusal = refusal(400, 99991400, "request trigger frequency limit");
pub(super) const IP_DENIED: Refusal = refusal(400, 99991401, "request denied by the app's IP allow list");
pub(super) const MONTH_SPENT: Refusal =
    refusal(400, 99991403, "the number of API calls of this month has been used up");
pub(super) const TOKEN_MISSING: Refusal = refusal(
    400,
    99991661,
    "Missing access token for authorization. Please make a request with token attached.",
);
pub(super) const APP_DISABLED: Refusal = refusal(400, 99991662, "app is not in use");
pub(super) const TENANT_TOKEN_INVALID: Refusal = refusal(
    400,
    99991663,
    "Invalid access token for authorization. Please make a request with token attached.",
);
pub(super) const APP_TOKEN_INVALID: Refusal =
    refusal(400, 99991664, "Invalid app access token: this call needs a tenant access token");
pub(super) const USER_TOKEN_INVALID: Refusal =
    refusal(400, 99991668, "Invalid access token for authorization: this call needs a tenant access token");
pub(super) const TOKEN_MALFORMED: Refusal =
    refusal(400, 99991671, "Invalid access token for authorization: it must start with 't-' or 'u-'");
pub(super) const SCOPE_MISSING: Refusal = refusal(
    400,
    99991672,
    "Access denied. One of the following scopes is required: [approval:approval, approval:definition]",
);
pub(super) const NOT_INSTALLED: Refusal = refusal(400, 99991673, "app is not installed in this tenant");

// The calls that give tokens; the platform refuses these with HTTP 200, so only the code tells.
pub(super) const APP_ID_INVALID: Refusal = refusal(200, 10003, "invalid param");
pub(super) const APP_KIND_WRONG: Refusal =
    refusal(200, 10005, "app is not authorized for this kind of token");
pub(super) const TICKET_INVALID: Refusal = refusal(200, 10012, "app ticket invalid");
pub(super) const APP_ACCESS_TOKEN_INVALID: Refusal = refusal(200, 10013, "app access token invalid");
pub(super) const SECRET_INVALID: Refusal = refusal(200, 10014, "app secret invalid");
